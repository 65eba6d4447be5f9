"""Those who lie, beside a pair who behave well: docs/security.md."""
