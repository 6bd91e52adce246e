"""Every wire format for which Parley has a provider."""

from tests.fakes.wire_formats.anthropic import ANTHROPIC
from tests.fakes.wire_formats.bedrock import BEDROCK
from tests.fakes.wire_formats.chat import MISTRAL, OPENAI
from tests.fakes.wire_formats.responses import RESPONSES

WIRE_FORMATS = [OPENAI, RESPONSES, MISTRAL, ANTHROPIC, BEDROCK]
