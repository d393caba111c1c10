"""The options of the test suite: pytest reads no deeper conftest before it knows its arguments."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-golden", action="store_true", help="write what the golden tests see over their files")
    parser.addoption("--record-experiment", metavar="FILE", help="keep what the experiment with the physics shows, as CSV")
