"""Subscribers: who is told, by e-mail or webhook, when servers of a load balancer go down."""

from __future__ import annotations

from emulator.paging import matching, page
from emulator.products.account import organization_of
from emulator.products.lb.resources import (
    LBS,
    SUBSCRIBERS,
    ZONED,
    absent,
    find_lb,
    invalid_field,
    ordered,
    rejected,
    show_lb,
)
from emulator.routing import Answer, Call, Product
from emulator.world import DEFAULT_PROJECT, Document, public

product = Product("lb", ZONED)


def _settings(body: Document) -> Document:
    targets = [name for name in ("email_config", "webhook_config") if body.get(name)]
    if len(targets) != 1:
        raise invalid_field("email_config", "either an e-mail address or a webhook is required")
    return {
        "name": body.get("name") or "",
        "email_config": body.get("email_config"),
        "webhook_config": body.get("webhook_config"),
    }


def _find(call: Call, subscriber_id: str) -> Document:
    subscriber = call.world.find(SUBSCRIBERS, subscriber_id)
    if subscriber is None or subscriber["_zone"] != call.params["zone"]:
        raise absent("subscriber")
    return subscriber


@product.post("/subscribers")
def create_subscriber(call: Call) -> Answer:
    """Note a subscriber; a load balancer has to be subscribed to separately."""
    project_id = call.body.get("project_id") or call.body.get("organization_id") or DEFAULT_PROJECT
    subscriber = {
        "id": call.world.new_id(),
        **_settings(call.body),
        "_zone": call.params["zone"],
        "_project_id": project_id,
        "_organization_id": organization_of(call.world, project_id),
    }
    return public(call.world.put(SUBSCRIBERS, subscriber))


@product.get("/subscribers")
def list_subscribers(call: Call) -> Answer:
    """The subscribers of a zone."""
    found = list(call.world.where(SUBSCRIBERS, _zone=call.params["zone"]))
    for owner in ("project_id", "organization_id"):
        if wanted := call.arg(owner):
            found = [subscriber for subscriber in found if subscriber[f"_{owner}"] == wanted]
    return page(call, ordered(call, matching(call, found)), "subscribers")


@product.get("/subscribers/{subscriber_id}")
def get_subscriber(call: Call) -> Answer:
    """One subscriber."""
    return public(_find(call, call.params["subscriber_id"]))


@product.put("/subscribers/{subscriber_id}")
def update_subscriber(call: Call) -> Answer:
    """Replace name and target."""
    subscriber = _find(call, call.params["subscriber_id"])
    subscriber.update(_settings(call.body))
    call.world.put(SUBSCRIBERS, subscriber)
    for lb in call.world.all(LBS):
        if lb["subscriber"] and lb["subscriber"]["id"] == subscriber["id"]:
            lb["subscriber"] = public(subscriber)
            call.world.put(LBS, lb)
    return public(subscriber)


@product.delete("/lb/subscription/{subscriber_id}")
def delete_subscriber(call: Call) -> Answer:
    """Forget a subscriber; 400 while it is subscribed to a load balancer."""
    subscriber = _find(call, call.params["subscriber_id"])
    if any(lb["subscriber"] and lb["subscriber"]["id"] == subscriber["id"] for lb in call.world.all(LBS)):
        raise rejected("the subscriber is used on a lb")
    call.world.remove(SUBSCRIBERS, subscriber["id"])
    return None


@product.post("/lb/{lb_id}/subscribe")
def subscribe_to_lb(call: Call) -> Answer:
    """Tell a subscriber about this load balancer."""
    lb = find_lb(call)
    lb["subscriber"] = public(_find(call, str(call.body.get("subscriber_id"))))
    call.world.put(LBS, lb)
    return show_lb(call.world, lb)


@product.delete("/lb/{lb_id}/unsubscribe")
def unsubscribe_from_lb(call: Call) -> Answer:
    """Tell nobody about this load balancer."""
    lb = find_lb(call)
    lb["subscriber"] = None
    call.world.put(LBS, lb)
    return show_lb(call.world, lb)
