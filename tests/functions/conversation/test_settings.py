"""The settings of the conversation function."""

import os


def test_scheduled_prompts_may_be_turned_off(environment):
    from functions.conversation.app import ConversationSettings

    assert ConversationSettings.read(os.environ | {"PARLEY_SCHEDULES_PER_USER": "0"}).schedules_per_user == 0
