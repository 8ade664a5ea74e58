"""Makes RelaySettings from flags, environment and file, or raises one ConfigurationError that says how to mend them."""

from pgstream_relay.configuration.environment import read_variable
from pgstream_relay.configuration.load import Flags, load_http_settings, load_settings

__all__ = ["Flags", "load_http_settings", "load_settings", "read_variable"]
