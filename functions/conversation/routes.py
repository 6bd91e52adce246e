"""The routes of conversations and of usage, together."""

from fastapi import APIRouter

from functions.conversation import conversation_routes, summary_routes, usage_routes

router = APIRouter()
for part in (conversation_routes, summary_routes, usage_routes):
    router.routes += part.router.routes
