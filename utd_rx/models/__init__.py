"""What an app sees: frozen values and enums, without I/O, clock or Rx."""
