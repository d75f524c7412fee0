"""${message}

Revision: ${up_revision}, after ${down_revision | comma,n}
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    ${upgrades if upgrades else ""}
    # The oldest revision whose code can work with this schema: raise it if that code cannot.
    op.execute("UPDATE schema_compatibility SET oldest_revision = '${oldest_revision}'")


def downgrade() -> None:
    ${downgrades if downgrades else ""}
    op.execute("UPDATE schema_compatibility SET oldest_revision = '${oldest_revision}'")
