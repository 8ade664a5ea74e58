"""`python -m pgstream_relay` is `pgstream-relay`."""

from pgstream_relay.app import main

main()
