"""Every wire format that there is a provider for."""

from tests.fakes.wires.anthropic import ANTHROPIC
from tests.fakes.wires.bedrock import BEDROCK
from tests.fakes.wires.chat import MISTRAL, OPENAI
from tests.fakes.wires.responses import RESPONSES

WIRES = [OPENAI, RESPONSES, MISTRAL, ANTHROPIC, BEDROCK]
