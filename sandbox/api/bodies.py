"""What Klarna's calls take: limits and required fields as in Klarna's OpenAPI (doc).

Amounts are whole numbers of minor units. A field of another name is ignored, and `null` counts as
absent (both assumed).
"""

from typing import Annotated, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from sandbox.api.calls import RefusedError
from sandbox.api.orders import JsonObject
from sandbox.settings import SandboxSettings


def _whole(value: object) -> object:
    """Take 1.0 for 1, as JSON does; 1.5 is refused later."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


WHOLE = BeforeValidator(_whole)
Amount = Annotated[int, Field(ge=0, le=200_000_000), WHOLE]
SignedAmount = Annotated[int, Field(ge=-200_000_000, le=200_000_000), WHOLE]
Text10 = Annotated[str, Field(max_length=10)]
Text20 = Annotated[str, Field(max_length=20)]
Text100 = Annotated[str, Field(max_length=100)]
Text200 = Annotated[str, Field(max_length=200)]
Text255 = Annotated[str, Field(max_length=255)]
Text1024 = Annotated[str, Field(max_length=1024)]

_LINE_TYPES = (
    r"^(physical|discount|shipping_fee|sales_tax|store_credit|gift_card|digital|surcharge"
    r"|return_fee)$"
)
_SHIPPING_METHODS = (
    r"^(PickUpStore|Home|BoxReg|BoxUnreg|PickUpPoint|Own|Postal|DHLPackstation|Digital|Undefined"
    r"|PickUpWarehouse|ClickCollect|PalletDelivery)$"
)
_TOO_LONG = frozenset({"string_too_long", "too_long"})


class CallBody(BaseModel):
    """A JSON object; nothing is converted from another type."""

    model_config = ConfigDict(strict=True)

    def shown(self) -> JsonObject:
        """Give the fields that were sent, as a GET shows them later."""
        return self.model_dump(exclude_none=True)


class OrderLineBody(CallBody):
    """A line of an order, a capture or a refund."""

    name: Text255
    quantity: Annotated[int, Field(ge=0, lt=2**63), WHOLE]
    unit_price: SignedAmount
    total_amount: SignedAmount
    type: Annotated[str, Field(pattern=_LINE_TYPES)] | None = None
    reference: Text255 | None = None
    quantity_unit: Text10 | None = None
    tax_rate: Annotated[int, Field(ge=0, lt=2**31), WHOLE] | None = None
    total_tax_amount: SignedAmount | None = None
    total_discount_amount: Amount | None = None
    image_url: Text1024 | None = None
    product_url: Text1024 | None = None
    merchant_data: Text1024 | None = None


Lines = Annotated[list[OrderLineBody], Field(max_length=1000)]


class UpdateAuthorizationBody(CallBody):
    """A new amount for the order; lines that are left out are deleted (doc)."""

    order_amount: Amount
    description: Text255 | None = None
    order_lines: Lines | None = None


class MerchantReferencesBody(CallBody):
    """New references; one that is left out stays, `""` clears it (doc)."""

    merchant_reference1: Text255 | None = None
    merchant_reference2: Text255 | None = None


class AddressBody(CallBody):
    """What changes of an address; `""` clears a field, but not a mandatory one (doc).

    That those are street, city and country is assumed.
    """

    attention: Text255 | None = None
    city: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    country: Annotated[str, Field(min_length=1)] | None = None
    email: Text100 | None = None
    family_name: Text100 | None = None
    given_name: Text100 | None = None
    organization_name: Text255 | None = None
    phone: Text100 | None = None
    postal_code: Text10 | None = None
    region: Text200 | None = None
    street_address: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    street_address2: Text100 | None = None
    title: Text20 | None = None


class CustomerDetailsBody(CallBody):
    """A new shipping address. The billing address cannot be changed any more (doc)."""

    shipping_address: AddressBody | None = None
    billing_address: JsonObject | None = None


class ShippingInfoBody(CallBody):
    """One parcel."""

    shipping_company: Text100 | None = None
    shipping_method: Annotated[str, Field(pattern=_SHIPPING_METHODS)] | None = None
    tracking_number: Text100 | None = None
    tracking_uri: Text1024 | None = None
    return_shipping_company: Text100 | None = None
    return_tracking_number: Text100 | None = None
    return_tracking_uri: Text1024 | None = None


Parcels = Annotated[list[ShippingInfoBody], Field(min_length=1, max_length=500)]


class AddShippingInfoBody(CallBody):
    """Parcels to add to those that are known."""

    shipping_info: Parcels


class CaptureBody(CallBody):
    """A capture of all or a part of what remains authorized."""

    captured_amount: Amount
    description: Text255 | None = None
    reference: Text255 | None = None
    order_lines: Lines | None = None
    shipping_delay: Annotated[int, Field(ge=0, lt=2**63), WHOLE] | None = None
    shipping_info: Annotated[list[ShippingInfoBody], Field(max_length=500)] | None = None


class RefundBody(CallBody):
    """A refund of all or a part of what was captured."""

    refunded_amount: Amount
    description: Text255 | None = None
    reference: Text255 | None = None
    order_lines: Lines | None = None


class ExtendDueDateBody(CallBody):
    """How many days later the customer pays."""

    number_of_days: Annotated[int, Field(ge=-(2**31), lt=2**31), WHOLE]


B = TypeVar("B", bound=CallBody)


def read_body(kind: type[B], content: bytes, settings: SandboxSettings) -> B:
    """Read a call's body. Raises RefusedError for one that Klarna would not take.

    Too long is 422 with Klarna's words (doc), an address that is none is 422 (doc), the rest is
    `BAD_VALUE` with the field's name (seen at the checkout API; the status here is assumed).
    """
    try:
        return kind.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
    names = [each for each in first["loc"] if isinstance(each, str)]
    if names[:1] == ["shipping_address"]:
        message = "The shipping and/or billing address is invalid"
        raise RefusedError(422, message, "INVALID_ADDRESS")
    if first["type"] in _TOO_LONG:
        limits = first["ctx"]
        low = 1 if names == ["shipping_info"] else 0
        raise RefusedError(
            422,
            f"The size of the {'/'.join(names)} value must be between {low} and "
            f"{limits['max_length']}",
        )
    field = names[-1] if names else "body"
    raise RefusedError(int(settings.bad_value), f"Bad value: {field}", "BAD_VALUE")


def shown_all(bodies: list[OrderLineBody] | list[ShippingInfoBody] | None) -> list[JsonObject]:
    """Give a list that was sent as a GET shows it; one left out is empty."""
    return [body.shown() for body in bodies or []]
