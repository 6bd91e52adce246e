"""All routes of the auth function."""

from functions.auth import account_routes, admin_routes, login_routes
from functions.auth.groups import admin_routes as group_admin_routes
from functions.auth.groups import routes as group_routes
from functions.auth.oauth import routes as oauth_routes
from functions.auth.oidc import routes as oidc_routes
from functions.auth.passkeys import routes as passkey_routes
from functions.auth.scim import admin_routes as scim_admin_routes
from functions.auth.scim import routes as scim_routes
from functions.auth.second_factor import routes as second_factor_routes
from parley.http.app import join_routers

router = join_routers(
    login_routes.router,
    oidc_routes.router,
    second_factor_routes.router,
    passkey_routes.router,
    account_routes.router,
    account_routes.api_keys_router,
    group_routes.router,
    oauth_routes.router,
    admin_routes.router,
    group_admin_routes.router,
    scim_admin_routes.router,
    scim_routes.router,
)
