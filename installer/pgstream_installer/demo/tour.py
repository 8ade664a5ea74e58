"""The tour: what a DBA does to stream a shop, and what comes of it, in a few steps."""

from __future__ import annotations

from pgstream_installer.demo.servers import RELAY_ROLE
from pgstream_installer.demo.shop import Transaction, put_into_cart, sell, set_status, statement
from pgstream_installer.demo.stage import Stage

READ_SECONDS = 1.0

CHOOSE_SQL = """\
INSERT INTO pgstream.tables (table_name)
VALUES ('customers'), ('products'),
       ('orders'), ('order_items');"""
CHOOSE_EPHEMERAL_SQL = """\
INSERT INTO pgstream.tables (table_name, mode)
VALUES ('carts', 'ephemeral');"""
SUBJECT_SQL = """\
UPDATE pgstream.tables
   SET subject = 'dispatch.orders.{operation}'
 WHERE table_name = 'orders';"""
MODE_SQL = """\
UPDATE pgstream.tables
   SET mode = 'persistent'
 WHERE table_name = 'carts';"""
SNAPSHOT_TABLE_SQL = f"""\
GRANT SELECT ON visits TO {RELAY_ROLE};
INSERT INTO pgstream.tables (table_name)
VALUES ('visits');"""
SNAPSHOT_SQL = """\
INSERT INTO pgstream.signals (type, tables)
VALUES ('incremental-snapshot', '{public.visits}');"""
STATUS_SQL = """\
SELECT * FROM pgstream.status;"""
TABLE_STATUS_SQL = """\
SELECT table_name, mode, subjects ->> 'update' AS on_update, problem
  FROM pgstream.table_status ORDER BY table_name;"""

ORDER = Transaction(
    "and orders them",
    (
        statement("INSERT INTO orders VALUES ({}, {}, {}, 19.60);", 1, 1, "new"),
        statement("INSERT INTO order_items VALUES ({}, {}, {});", 1, 2, 2),
        sell(2, 2),
        statement("DELETE FROM carts WHERE customer_id = {};", 1),
    ),
)
CHANGES = (
    Transaction("Ada puts two mugs into her cart", (put_into_cart(1, {"mug": 2}),)),
    ORDER,
    Transaction("she pays", (set_status(1, "paid"),)),
    Transaction("a teapot costs more from today", (statement("UPDATE products SET price = 26.00 WHERE id = {};", 1),)),
    Transaction("at midnight all carts are emptied", ("TRUNCATE carts;",)),
)
SHIPPED = Transaction("the very next change goes there", (set_status(1, "shipped"),))
CARTS_AFTERWARDS = {2: {"teapot": 1}}
KEPT_CART = Transaction("and carts are kept in the stream", (put_into_cart(2, CARTS_AFTERWARDS[2]),))


async def choose_tables(stage: Stage) -> None:
    """Streaming a table is a row in pgstream.tables."""
    stage.screen.heading("Choose tables, in SQL")
    await stage.configure(CHOOSE_SQL, "customers", "products", "orders", "order_items")
    stage.screen.blank()
    await stage.configure(CHOOSE_EPHEMERAL_SQL, "carts")
    await stage.screen.pause(READ_SECONDS)


async def change_rows(stage: Stage) -> None:
    """The shop's own statements, and an event for each row."""
    stage.screen.heading("Changes become events, as they commit")
    for position, transaction in enumerate(CHANGES):
        if position:
            stage.screen.blank()
        await stage.change(transaction)
        await stage.screen.pause(READ_SECONDS)


async def change_settings(stage: Stage) -> None:
    """Settings travel with the data: they hold from their commit on, and no relay is restarted."""
    stage.screen.heading("Other subjects, other modes: in mid-stream, without a restart")
    for text, table, after in ((SUBJECT_SQL, "orders", SHIPPED), (MODE_SQL, "carts", KEPT_CART)):
        await stage.configure(text, table)
        stage.screen.blank()
        await stage.change(after)
        await stage.screen.pause(READ_SECONDS)
        if after is SHIPPED:
            stage.screen.blank()


async def read_what_was_there(stage: Stage) -> None:
    """Rows of before pgstream: a snapshot reads them block by block, beside the live events."""
    stage.screen.heading("What was there before: a snapshot, without a lock")
    await stage.configure(SNAPSHOT_TABLE_SQL, "visits")
    stage.screen.blank()
    await stage.snapshot(SNAPSHOT_SQL)
    await stage.screen.pause(READ_SECONDS)


async def look_at_status(stage: Stage) -> None:
    """The database knows how its streams are."""
    stage.screen.heading("Ask the database how it is")
    await stage.look(STATUS_SQL, record=True)
    stage.screen.blank()
    await stage.look(TABLE_STATUS_SQL)
    await stage.screen.pause(READ_SECONDS)
