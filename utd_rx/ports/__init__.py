"""What the outside must offer: protocols of a few methods, and the values that cross them.

| port | what is behind it | served by | faked by |
| --- | --- | --- | --- |
| `room` | a media room | `rtc.UTDRoom` | `testing.FakeRoom` |
| `audio` | microphones and speakers | `audio`, or `rtc` over WebRTC's own | `testing.FakeAudio` |
| `engine` | the engine, as one participant may ask it | `rest.UTDApi` | `testing.FakeEngine` |
| `clock` | time | `clock.SystemClock` | `testing.FakeClock` |

Nothing that crosses a port is alive. Arguments, results, errors and what is told are frozen, small
and picklable; commands are coroutines; what is told comes in batches, one for each turn of the
loop. Three things stay on the caller's side and never cross: the function that takes the batches,
the coroutine that waits, and the loop both run on. So an adapter can stand at the other end of a
pipe, and the contract suites (`utd_rx.testing.contracts`) run once over one that pickles everything
both ways and hands it to another thread's loop.

What has to stay alive on the far side, a device that is open or a place in a mix, has a key: a
value that names it there (`living`).
"""
