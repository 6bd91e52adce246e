"""Real LangChain tools, in a separate interpreter: the library is large, and no other test may import it."""

import json
import subprocess
import sys

PLUGIN = '''
import json
from types import ModuleType
from pydantic import BaseModel, v1
from langchain_core.tools import StructuredTool, BaseTool, tool

from functions.toolrunner.execution import run_tool
from functions.toolrunner.registry import Registry
from functions.toolrunner.requests import RunRequest
from parley.ids import new_id
from parley.tools.guarded_http.client import GuardedHttp

class Sum(BaseModel):
    a: int
    b: int = 2

class Distance(v1.BaseModel):
    km: int

class Shout(BaseTool):
    name: str = "shout"
    description: str = "Say it loudly."
    metadata: dict = {"egress": False, "writes": False, "timeout_s": 2.5}
    def _run(self, text: str) -> str:
        return text.upper()

@tool
def whisper(text: str) -> str:
    """Say it softly."""
    return text.lower()

@tool
async def later(text: str) -> str:
    """Say it some other time."""
    return f"later: {text}"

@tool
def fails(text: str) -> str:
    """Never say it."""
    raise ValueError("no")

module = ModuleType("plugin")
add = StructuredTool.from_function(func=lambda a, b=2: a + b, name="add", description="Add.", args_schema=Sum)
walk = StructuredTool.from_function(func=lambda km: f"{km} km", name="walk", description="Walk.", args_schema=Distance)
vars(module).update(add=add, shout=Shout(), whisper=whisper, later=later, fails=fails, walk=walk)
registry = Registry([])
registry.load({"plugin": lambda: module})
requests = [("add", {"a": 1}), ("shout", {"text": "hi"}), ("whisper", {"text": "HI"}), ("later", {"text": "x"})]
requests += [("walk", {"km": 3})]
requests += [("fails", {"text": "x"}), ("add", {"a": "one"})]
http, user = GuardedHttp(), new_id()
results = [run_tool(registry, RunRequest(op="run", name=name, arguments=arguments, user_id=user), http) for name, arguments in requests]
print(json.dumps({"listed": registry.listed(), "results": results}))
'''


def in_an_interpreter(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_langchain_tools_are_adapted():
    output = in_an_interpreter(PLUGIN)
    specs = {spec["name"]: spec for spec in output["listed"]["tools"]}

    assert output["listed"]["broken"] == []
    assert {spec["source"] for spec in specs.values()} == {"langchain"}
    assert specs["add"]["parameters"]["required"] == ["a"]
    assert (specs["whisper"]["description"], specs["whisper"]["egress"], specs["whisper"]["writes"]) == ("Say it softly.", True, True)
    assert (specs["shout"]["egress"], specs["shout"]["timeout_s"]) == (False, 2.5)
    assert specs["walk"]["parameters"]["required"] == ["km"]
    assert [result["content"] for result in output["results"][:5]] == ["3", "HI", "hi", "later: x", "3 km"]
    assert [result["ok"] for result in output["results"][5:]] == [False, False]


def test_langchain_is_not_imported_without_a_plugin(environment):
    loaded = in_an_interpreter(
        "import json, sys, functions.toolrunner.app; print(json.dumps([name for name in sys.modules if name.startswith('langchain')]))"
    )

    assert loaded == []
