"""What the outside must offer: protocols of a few methods, and the values that cross them.

Arguments, results, errors and what is told are frozen, small and picklable; commands are
coroutines; what is told comes in batches, one for each turn of the loop. The function that takes
the batches stays on the caller's side, so an adapter can stand at the other end of a pipe. What has
to stay alive on the far side, as a device, has a key that names it there (`living`).
"""
