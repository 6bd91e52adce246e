import shutil
from pathlib import Path

from click.testing import CliRunner

from cli.main import main
from tests.e2e.test_faults import answers_until
from tests.fakes.vendor import streams
from tests.support.api_gateway import PASSWORD


def test_a_conversation_survives_the_death_of_everything(fault_stack, vendor):
    vendor.script = streams("Bonjour", ", Ada")
    ada = fault_stack.register()
    said = ada.post("/chat", {"message": "Say hello in French", "stream": False}).json()
    fault_stack.kill()
    fault_stack.start()

    again = fault_stack.http.post("/auth/login", json={"email": ada.email, "password": PASSWORD})
    ada.headers["Authorization"] = f"Bearer {again.json()['access_token']}"
    assert [m["text"] for m in ada.messages(said["conversation_id"])] == ["Say hello in French", "Bonjour, Ada"]


def test_a_token_from_before_the_crash_still_opens_the_door(fault_stack):
    ada = fault_stack.register()
    fault_stack.kill()
    fault_stack.start()
    statuses = answers_until(lambda: ada.get("/auth/me"), 200)

    # A loaded machine may let the first requests of new workers wait too long for the database.
    assert (set(statuses) <= {200, 503}, statuses[-1]) == (True, 200)


def test_the_terminal_client_holds_the_readmes_conversation(stack, vendor):
    vendor.script = streams("It is ", "105", ".")
    registered = stack.parley("register", "reader@example.com", "--password-stdin", "--url", stack.url, input=PASSWORD)
    answered = stack.parley("chat", "What is 12.5% of 840?")
    history = stack.parley("history")

    assert (registered.returncode, answered.returncode, history.returncode) == (0, 0, 0), registered.stderr + answered.stderr
    assert answered.stdout.strip() == "It is 105."
    assert "What is 12.5% of 840?" in history.stdout


def test_requests_go_through_pgbouncer_where_it_is_installed(stack):
    installed = shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin:/opt/homebrew/bin")

    assert bool(stack.status()["services"]["pgbouncer"]) == bool(installed)


def test_every_event_of_the_repository_can_be_invoked(stack):
    names = {function["handler"].split(".")[1]: function["name"] for function in stack.status()["functions"]}
    for path in sorted((Path(__file__).parents[2] / "events").glob("*.json")):
        arguments = ["invoke", names[path.stem.split("_")[0]], "-e", str(path), "--port", str(stack.port)]
        # In this process, because a process per event would be slow.
        done = CliRunner(mix_stderr=False).invoke(main, arguments, prog_name="parley")
        refused = path.stem == "authorizer_token"
        assert done.exit_code == int(refused), (path.name, done.stderr)
        assert not refused or "Unauthorized" in done.stderr
