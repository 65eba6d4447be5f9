"""Sessions: façades that wire the rules to the room, the engine and the clock."""
