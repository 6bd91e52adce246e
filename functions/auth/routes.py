"""The account routes, together."""

from fastapi import APIRouter

from functions.auth import account_routes, admin_routes, api_key_routes, sign_in_routes

router = APIRouter()
for part in (sign_in_routes.router, account_routes.router, api_key_routes.router, admin_routes.router):
    router.routes += part.routes
