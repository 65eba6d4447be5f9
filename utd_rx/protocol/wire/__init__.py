"""The engine's JSON, both ways: tolerant when reading, exact when writing.

Client and engine share these codecs and nothing else that decides anything
(docs/architecture.md), so their golden fixtures in `tests/fixtures/wire` bind both.
"""
