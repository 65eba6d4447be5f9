"""Tests of utd_rx.state."""
