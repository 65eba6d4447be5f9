"""What every port promises, as suites of pytest that fakes and real adapters pass.

A suite is a class; whoever serves a port derives from it and gives it the fixture it asks for. Its
tests are coroutines: pytest-asyncio runs them with `asyncio_mode = "auto"`.
"""
