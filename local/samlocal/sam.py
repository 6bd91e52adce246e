"""AWS's SAM command line: building the stack, and calling one function of it in a container."""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from local.samlocal import derived
from local.samlocal.answer import Answer, read_answer
from local.samlocal.process import ProcessFailed, output
from local.template.pseudo import REGION

_PROGRAM = str(Path(sys.executable).with_name("sam"))
_BUILD_S, _INVOKE_S = 900, 180


def environment() -> dict[str, str]:
    """Return the variables for `sam`: no account of the developer's, which it would ask about at every call, and no telemetry."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    nowhere = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}
    return own | nowhere | {"SAM_CLI_TELEMETRY": "0", "AWS_DEFAULT_REGION": REGION}


async def build(root: Path, folder: Path, *, architecture: str) -> Path:
    """Build what gets deployed from the checkout `root`, in `folder`, and return where it is; raises `ProcessFailed`."""
    # In a folder of its own: in the checkout, `sam build` keeps dependencies and throws away those of every other build.
    folder.mkdir()
    command = (sys.executable, "-m", "local.artefact", architecture, "--template", str(root / "template.yaml"), "--build-dir", "build")
    await output(*command, cwd=folder, environment=environment(), limit_s=_BUILD_S)
    return folder / "build"


@dataclass(frozen=True)
class SamLocal:
    """Calls functions of a derived template in `build`."""

    build: Path

    async def invoke(self, function: str, event: str) -> tuple[Answer, str]:
        """Return the answer and what was logged; raises `ProcessFailed` if there is no answer."""
        source = self.build / "event.json"
        source.write_text(event, encoding="utf-8")
        parameters = f"file://{self.build / derived.PARAMETERS}"
        command = (_PROGRAM, "local", "invoke", function, "--template", str(self.build / derived.NAME), "--event", str(source))
        # The engine was asked for the image before.
        options = ("--skip-pull-image", "--region", REGION, "--parameter-overrides", parameters)
        written, said = await output(*command, *options, cwd=self.build, environment=environment(), limit_s=_INVOKE_S)
        return read_result(written, said), said


def read_result(written: str, said: str) -> Answer:
    """Return the answer in what `sam local invoke` wrote: its last line. Raises `ProcessFailed` with the log if that is none."""
    try:
        return read_answer(json.loads(written.strip().splitlines()[-1]))
    except (ValueError, IndexError) as error:
        raise ProcessFailed("sam local invoke", f"{said}\n{written}") from error
