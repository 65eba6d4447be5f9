"""What a `StateSubject` costs beside its peers: `python benchmarks/state.py`.

Every ratio is taken within one run, with the contenders interleaved and the best of several
rounds counted, because absolute figures on a shared machine mean little.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from reactivex.subject import BehaviorSubject

from utd_rx.state import StateSubject, Store

OBSERVERS = (1, 10, 100, 1000)
ROUNDS = 15
Emit = Callable[[int], object]


def observer() -> Callable[[Any], None]:
    """A callback that does nothing, a new one each time: no contender may fold them into one."""
    return lambda value: None


def number(state: int, item: int) -> int:
    return item


def state_subject(count: int) -> Emit:
    store = Store(0, number)
    subject = store.select(lambda state: state, name="n")
    for _ in range(count):
        subject.subscribe(observer())
    return store.dispatch


def behavior_subject(count: int) -> Emit:
    subject = BehaviorSubject(0)
    for _ in range(count):
        subject.subscribe(observer())
    return subject.on_next


def livekit_emitter(count: int) -> Emit:
    from livekit.rtc.event_emitter import EventEmitter

    emitter: Any = EventEmitter()
    for _ in range(count):
        emitter.on("n", observer())
    return lambda value: emitter.emit("n", value)


def traitlets_observe(count: int) -> Emit:
    from traitlets import HasTraits, Int

    class Model(HasTraits):
        n = Int()

    model = Model()
    for _ in range(count):
        model.observe(observer(), names="n")
    return lambda value: setattr(model, "n", value)


CONTENDERS: dict[str, Callable[[int], Emit]] = {
    "StateSubject": state_subject,
    "BehaviorSubject": behavior_subject,
    "livekit EventEmitter": livekit_emitter,
    "traitlets": traitlets_observe,
}


def best_seconds(emits: dict[str, Emit], repeat: int) -> dict[str, float]:
    """The best seconds per emission of each contender; no value is ever repeated."""
    best = dict.fromkeys(emits, float("inf"))
    value = 1
    for _ in range(ROUNDS):
        for name, emit in emits.items():
            start = time.perf_counter()
            for i in range(value, value + repeat):
                emit(i)
            best[name] = min(best[name], (time.perf_counter() - start) / repeat)
        value += repeat
    return best


def emission() -> None:
    print("emission, in units of the stock BehaviorSubject (and us per emission)")
    names = []
    for name, make in CONTENDERS.items():
        try:
            make(1)
        except ImportError:
            print(f"  {name} is not installed")
        else:
            names.append(name)
    print("  observers" + "".join(f"{name:>28}" for name in names))
    for count in OBSERVERS:
        emits = {name: CONTENDERS[name](count) for name in names}
        best = best_seconds(emits, repeat=max(5, 2000 // count))
        stock = best["BehaviorSubject"]
        cells = (f"{best[name] / stock:.2f} x ({best[name] * 1e6:.1f} us)" for name in names)
        print(f"  {count:>9}" + "".join(f"{cell:>28}" for cell in cells))


def subscription() -> None:
    """Subscribe behind a crowd and dispose, over and over: stock searches a list."""
    print("\nsubscribe + dispose, in units of the stock BehaviorSubject")
    for crowd in (0, 1000):
        stock = BehaviorSubject(0)
        ours = Store(0, number).select(lambda state: state, name="n")
        subjects: dict[str, BehaviorSubject[int]] = {"StateSubject": ours, "BehaviorSubject": stock}
        for subject in subjects.values():
            for _ in range(crowd):
                subject.subscribe(observer())

        def pair_of(subject: BehaviorSubject[int]) -> Emit:
            return lambda _: subject.subscribe(observer()).dispose()

        best = best_seconds({name: pair_of(s) for name, s in subjects.items()}, repeat=300)
        ratio = best["StateSubject"] / best["BehaviorSubject"]
        us = {name: f"{seconds * 1e6:.1f} us" for name, seconds in best.items()}
        print(f"  among {crowd:>4} observers: {ratio:.2f} x  {us}")


def memory() -> None:
    """Bytes that stay after 10,000 subscribe/dispose pairs and 10,000 dropped selectors."""
    print("\nmemory after 10,000 subscribe/dispose pairs, and after 10,000 selectors used once")
    store = Store(0, number)
    subject: StateSubject[int] = store.select(lambda state: state, name="n")

    def pairs() -> None:
        subject.subscribe(observer()).dispose()

    def selectors() -> None:
        store.select(lambda state: state + 1, name="n").subscribe(observer()).dispose()

    for name, action in {"pairs": pairs, "selectors": selectors}.items():
        tracemalloc.start()
        for _ in range(100):  # caches fill up first
            action()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(10_000):
            action()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"  {name}: {after - before:+} bytes")


if __name__ == "__main__":
    emission()
    subscription()
    memory()
