"""The rules, pure: no I/O, no clock, no Rx. Time is an argument, effects are values."""
