"""PURE: the shop. Its tables, what they hold at first, and statements that change them like customers and staff do."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import LiteralString

from psycopg import sql

DATABASE = "shop"
SCHEMA_SQL = b"""
create table customers (id integer primary key, name text not null, city text not null);
create table products (id integer primary key, name text not null, price numeric(8,2) not null, stock integer not null);
create table orders (id integer primary key, customer_id integer not null references customers,
                     status text not null, total numeric(8,2) not null);
create table order_items (order_id integer references orders, product_id integer references products,
                          quantity integer not null, primary key (order_id, product_id));
create table carts (customer_id integer primary key references customers, items jsonb not null);
create table visits (id integer primary key, customer_id integer not null, page text not null, at timestamptz not null);
insert into customers values (1, 'Ada', 'London'), (2, 'Grace', 'New York'), (3, 'Emmy', 'Erlangen'),
                             (4, 'Hedy', 'Vienna'), (5, 'Katherine', 'Hampton');
insert into products values (1, 'teapot', 24.50, 40), (2, 'mug', 9.80, 250), (3, 'notebook', 6.40, 400),
                            (4, 'lamp', 39.00, 60), (5, 'blanket', 54.90, 35);
insert into visits select n, n % 5 + 1, '/products/' || n % 7, '2026-01-01'::timestamptz + n * interval '7 minutes'
                     from generate_series(1, 20000) as n;
"""
CUSTOMERS = {1: "Ada", 2: "Grace", 3: "Emmy", 4: "Hedy", 5: "Katherine"}
PRODUCTS = {1: "teapot", 2: "mug", 3: "notebook", 4: "lamp", 5: "blanket"}
PRICES = {1: "24.50", 2: "9.80", 3: "6.40", 4: "39.00", 5: "54.90"}
CITIES = ("Bern", "Cambridge", "Göttingen", "Lisboa", "Oslo", "Zürich")
RESTOCK_AT = 10


@dataclass(frozen=True)
class Transaction:
    """Statements that commit together, as they are typed and run; `why` says it in a person's words."""

    why: str
    statements: tuple[str, ...]


def statement(text: LiteralString, *values: object) -> str:
    """SQL with its values as literals: what is shown is what is run."""
    return sql.SQL(text).format(*values).as_string(None)


def put_into_cart(customer: int, items: dict[str, int]) -> str:
    """A cart's first items."""
    return statement("INSERT INTO carts VALUES ({}, {});", customer, json.dumps(items))


def set_status(order: int, status: str) -> str:
    return statement("UPDATE orders SET status = {} WHERE id = {};", status, order)


def sell(product: int, quantity: int) -> str:
    return statement("UPDATE products SET stock = stock - {} WHERE id = {};", quantity, product)


class Shop:
    """A day in the shop: `next_transaction` gives what happens next. The same `seed` gives the same day.

    `carts` are there already: items by customer.
    """

    def __init__(self, carts: Mapping[int, dict[str, int]], *, seed: int = 7, next_order: int = 100) -> None:
        self._random = random.Random(seed)
        self._next_order = next_order
        self._prices = {product: Decimal(price) for product, price in PRICES.items()}
        self._stock_sold = dict.fromkeys(PRODUCTS, 0)
        self._orders: dict[str, list[int]] = {"new": [], "paid": [], "shipped": [], "cancelled": []}
        self._carts = dict(carts)
        self._cities: dict[int, str] = {}

    def next_transaction(self) -> Transaction:
        """What can happen now, each thing as often as in a real shop."""
        possible: list[tuple[int, Callable[[], Transaction]]] = [
            (4, self._fill_cart), (3, self._change_price), (1, self._move_customer),
        ]  # fmt: skip
        if self._carts:
            possible += [(8, self._place_order), (1, self._leave_cart)]
        if self._orders["new"]:
            possible += [(6, self._pay), (1, self._cancel)]
        if self._orders["paid"]:
            possible.append((6, self._ship))
        if self._orders["cancelled"]:
            possible.append((2, self._remove))
        if max(self._stock_sold.values()) >= RESTOCK_AT:
            possible.append((2, self._restock))
        weights = [weight for weight, _ in possible]
        return self._random.choices([happens for _, happens in possible], weights)[0]()

    def _fill_cart(self) -> Transaction:
        customer = self._random.choice(list(CUSTOMERS))
        held = self._carts.get(customer, {})
        product = self._random.choice(list(PRODUCTS.values()))
        cart = {**held, product: held.get(product, 0) + self._random.randint(1, 2)}
        self._carts[customer] = cart
        if not held:
            return Transaction(f"{CUSTOMERS[customer]} takes a cart", (put_into_cart(customer, cart),))
        change = statement("UPDATE carts SET items = {} WHERE customer_id = {};", json.dumps(cart), customer)
        return Transaction(f"{CUSTOMERS[customer]} fills the cart", (change,))

    def _leave_cart(self) -> Transaction:
        customer = self._random.choice(list(self._carts))
        del self._carts[customer]
        gone = statement("DELETE FROM carts WHERE customer_id = {};", customer)
        return Transaction(f"{CUSTOMERS[customer]} leaves the cart behind", (gone,))

    def _place_order(self) -> Transaction:
        customer = self._random.choice(list(self._carts))
        numbers = {name: product for product, name in PRODUCTS.items()}
        items = [(numbers[name], quantity) for name, quantity in self._carts.pop(customer).items()]
        order, self._next_order = self._next_order, self._next_order + 1
        self._orders["new"].append(order)
        total = sum((self._prices[product] * quantity for product, quantity in items), Decimal(0))
        statements = [statement("INSERT INTO orders VALUES ({}, {}, {}, {});", order, customer, "new", total)]
        for product, quantity in items:
            statements.append(statement("INSERT INTO order_items VALUES ({}, {}, {});", order, product, quantity))
        for product, quantity in items:
            self._stock_sold[product] += quantity
            statements.append(sell(product, quantity))
        statements.append(statement("DELETE FROM carts WHERE customer_id = {};", customer))
        return Transaction(f"{CUSTOMERS[customer]} orders", tuple(statements))

    def _advance(self, before: str, after: str) -> int:
        order = self._orders[before].pop(0)
        self._orders[after].append(order)
        return order

    def _pay(self) -> Transaction:
        order = self._advance("new", "paid")
        return Transaction(f"order {order} is paid", (set_status(order, "paid"),))

    def _ship(self) -> Transaction:
        order = self._advance("paid", "shipped")
        return Transaction(f"order {order} leaves the house", (set_status(order, "shipped"),))

    def _cancel(self) -> Transaction:
        order = self._advance("new", "cancelled")
        return Transaction(f"order {order} is cancelled", (set_status(order, "cancelled"),))

    def _remove(self) -> Transaction:
        order = self._orders["cancelled"].pop(0)
        items = statement("DELETE FROM order_items WHERE order_id = {};", order)
        return Transaction(
            f"order {order} is forgotten", (items, statement("DELETE FROM orders WHERE id = {};", order))
        )

    def _change_price(self) -> Transaction:
        product = self._random.choice(list(PRODUCTS))
        first = Decimal(PRICES[product])
        others = [first * step / 100 for step in (85, 90, 95, 100, 105, 110)]
        price = self._random.choice(
            [one for raw in others if (one := raw.quantize(Decimal("0.01"))) != self._prices[product]]
        )
        self._prices[product] = price
        change = statement("UPDATE products SET price = {} WHERE id = {};", price, product)
        return Transaction(f"another price for the {PRODUCTS[product]}", (change,))

    def _restock(self) -> Transaction:
        product = max(self._stock_sold, key=lambda one: self._stock_sold[one])
        quantity = self._stock_sold[product]
        self._stock_sold[product] = 0
        change = statement("UPDATE products SET stock = stock + {} WHERE id = {};", quantity, product)
        return Transaction(f"the {PRODUCTS[product]} is in stock again", (change,))

    def _move_customer(self) -> Transaction:
        customer = self._random.choice(list(CUSTOMERS))
        change = statement("UPDATE customers SET city = {} WHERE id = {};", self._random.choice(CITIES), customer)
        return Transaction(f"{CUSTOMERS[customer]} moves", (change,))
