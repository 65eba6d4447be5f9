"""The engine's own page: what goes on in it, for whoever runs it on this machine (docs/engine.md,
"Its page")."""
