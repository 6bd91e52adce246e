"""The account routes, together."""

from fastapi import APIRouter

from functions.auth import account_routes, admin_routes, login_routes

router = APIRouter()
for part in (login_routes.router, account_routes.router, account_routes.api_keys_router, admin_routes.router):
    router.routes += part.routes
