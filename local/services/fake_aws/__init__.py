"""The process of the AWS stand-in: moto's server, with state that survives a restart."""

import sys
from types import ModuleType

# moto's SSM imports its EC2 for commands to virtual machines, which Parley has none of: half of this server's start and memory.
_NO_MACHINES = ModuleType("moto.ec2")
_NO_MACHINES.ec2_backends = {}  # type: ignore[attr-defined]
sys.modules.setdefault("moto.ec2", _NO_MACHINES)
