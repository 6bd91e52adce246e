"""The account routes, together."""

from fastapi import APIRouter

from functions.auth import account_routes, admin_routes, api_key_routes, sign_in_routes

router = APIRouter()
for part in (sign_in_routes, account_routes, api_key_routes, admin_routes):
    router.routes += part.router.routes
