"""DCE/RPC over TCP (C706, MS-RPCE): as much of it as asking the endpoint mapper takes, without I/O."""
