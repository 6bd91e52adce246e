"""The routes of conversations, memory, search and usage, together."""

from fastapi import APIRouter

from functions.conversation import conversation_routes, memory_routes, search_routes, summary_routes, usage_routes

router = APIRouter()
# Search first: its path would be taken for a conversation's.
for part in (search_routes.router, conversation_routes.router, summary_routes.router, memory_routes.router, usage_routes.router):
    router.routes += part.routes
