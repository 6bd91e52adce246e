"""`parley keys` without a stack; tests/e2e covers a running stack."""


def test_rotate_explains_itself(parley):
    result = parley("keys", "rotate", "--help")

    assert (result.exit_code, "--now" in result.stdout, "--api-keys" in result.stdout) == (0, True, True)


def test_api_keys_are_ended_only_in_an_emergency(parley):
    result = parley("keys", "rotate", "--api-keys")

    assert (result.exit_code, "--now" in result.stderr) == (2, True)


def test_without_a_running_stack_it_says_how_to_start_one(parley):
    result = parley("keys", "rotate", "--port", "9")

    assert (result.exit_code, "parley up" in result.stderr) == (1, True)
