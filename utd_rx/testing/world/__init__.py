"""What `FakeWorld` is made of: the genuine engine, and an SFU, a network and devices that are not
there, on one virtual clock."""
