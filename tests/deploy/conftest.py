"""Nodes for the tests of what deploys and looks after them, and nothing left behind."""

from fixtures import domain_id as domain_id
from fixtures import ros_environment as ros_environment
from fixtures import start_exporter as start_exporter
