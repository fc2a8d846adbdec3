"""What a start would find in the database of a store; looking changes nothing."""

from __future__ import annotations

from typing import Final

import asyncpg

from router.control.state.lease import LEADER, Holder
from router.control.state.postgres_layout import MIGRATIONS, newer
from router.control.state.postgres_link import LOST, check_server, connected, refusal
from router.core.databases import named

_FACTS: Final = """
SELECT to_regclass('rampway_schema') IS NOT NULL AS there, current_schema() AS schema,
    has_schema_privilege(current_schema(), 'CREATE') AS may
"""


async def look(url: str) -> str:
    """One line for people. Raises StoreDamaged for what would keep a router from starting."""
    try:
        db = await connected(url)
        try:
            check_server(url, db)
            server = f"{named(url)}: PostgreSQL {db.get_server_version().major}"
            facts = await db.fetchrow(_FACTS)
            if facts["schema"] is None:
                raise asyncpg.InvalidSchemaNameError("its search_path names no schema")
            if not facts["there"] and not facts["may"]:
                raise asyncpg.InsufficientPrivilegeError("permission denied to make tables")
            if not facts["there"]:
                return f"{server}, no store yet in schema {facts['schema']}"
            version = await db.fetchval("SELECT max(version) FROM rampway_schema") or 0
            newer(version, named(url))
            routes = await db.fetchval("SELECT count(*) FROM rampway_routes")
            row = await db.fetchrow(LEADER)
        finally:
            await db.close()
    except (*LOST, ValueError) as error:
        raise refusal(url, error) from error
    leader = Holder.parsed(row["holder"]).words if row and row["lives"] else "nobody"
    return (
        f"{server}, tables of version {version} of {len(MIGRATIONS)}, {routes} routes, "
        f"{leader} leads"
    )
