"""The options of the test suite: pytest reads no deeper conftest before it knows its arguments."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the golden tests see over their files")
