"""Sessions inside other programs: threads, GUIs, no loop at all, and who looks at them."""
