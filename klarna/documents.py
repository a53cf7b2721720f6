"""What Klarna's calls take and give, as pydantic models; amounts in minor units (öre, cents).

A field that Klarna adds is kept, in `model_extra` and in what is sent back. A word that it adds to
a set (a status, a shipping method) stays a plain string. Nothing is converted from another type.
A model does not show a person's data in its `repr`. Source of fields and limits: Klarna's OpenAPI
file of Order Management 1.0.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator


class OrderStatus(StrEnum):
    """Where an order is in its life."""

    AUTHORIZED = "AUTHORIZED"
    PART_CAPTURED = "PART_CAPTURED"
    CAPTURED = "CAPTURED"
    CANCELLED = "CANCELLED"
    EXPIRED = "EXPIRED"
    CLOSED = "CLOSED"


class FraudStatus(StrEnum):
    """What Klarna's risk assessment came to."""

    ACCEPTED = "ACCEPTED"
    PENDING = "PENDING"
    REJECTED = "REJECTED"
    STOPPED = "STOPPED"


class OrderLineType(StrEnum):
    """What a line of an order is."""

    PHYSICAL = "physical"
    DISCOUNT = "discount"
    SHIPPING_FEE = "shipping_fee"
    SALES_TAX = "sales_tax"
    STORE_CREDIT = "store_credit"
    GIFT_CARD = "gift_card"
    DIGITAL = "digital"
    SURCHARGE = "surcharge"
    RETURN_FEE = "return_fee"


class ShippingMethod(StrEnum):
    """How a parcel reaches the customer."""

    PICK_UP_STORE = "PickUpStore"
    HOME = "Home"
    BOX_REG = "BoxReg"
    BOX_UNREG = "BoxUnreg"
    PICK_UP_POINT = "PickUpPoint"
    OWN = "Own"
    POSTAL = "Postal"
    DHL_PACKSTATION = "DHLPackstation"
    DIGITAL = "Digital"
    UNDEFINED = "Undefined"
    PICK_UP_WAREHOUSE = "PickUpWarehouse"
    CLICK_COLLECT = "ClickCollect"
    PALLET_DELIVERY = "PalletDelivery"


_Word = TypeVar("_Word", bound=StrEnum)

# A word of the set, else the string as it came.
Open = Annotated[Annotated[_Word, Field(strict=False)] | str, Field(union_mode="left_to_right")]


def _moment(value: object) -> object:
    """Read an ISO 8601 moment; one without an offset is UTC, as everything Klarna sends is."""
    if not isinstance(value, str):
        return value
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("not an ISO 8601 moment") from None  # and what it is, is not told
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


Moment = Annotated[datetime, BeforeValidator(_moment)]
Amount = Annotated[int, Field(ge=0, le=200_000_000)]
Text255 = Annotated[str, Field(max_length=255)]


class Document(BaseModel):
    """A JSON object of Klarna's."""

    model_config = ConfigDict(
        extra="allow",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        defer_build=True,  # who only acknowledges pays for no schema
    )

    def to_json(self) -> bytes:
        """Return what is sent: the fields that were set. None is as good as left out."""
        return self.model_dump_json(exclude_unset=True, exclude_none=True).encode()


class PersonalDocument(Document):
    """One that holds a person's data: its `repr` shows none of it."""

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ()


class Address(PersonalDocument):
    """Who lives where. `country` is ISO 3166 alpha-2; `region` is required in the US."""

    title: str | None = None
    given_name: str | None = None
    family_name: str | None = None
    organization_name: str | None = None
    attention: str | None = None
    email: str | None = None
    phone: str | None = None
    street_address: str | None = None
    street_address2: str | None = None
    postal_code: str | None = None
    city: str | None = None
    region: str | None = None
    country: str | None = None


class Customer(PersonalDocument):
    """Who has bought."""

    date_of_birth: str | None = None
    national_identification_number: str | None = None


class ProductIdentifiers(Document):
    """What a product is called elsewhere."""

    brand: str | None = None
    category_path: str | None = None
    color: str | None = None
    global_trade_item_number: str | None = None
    manufacturer_part_number: str | None = None
    size: str | None = None


class Subscription(Document):
    """The subscription that a line belongs to; `interval` is DAY, WEEK, MONTH or YEAR."""

    name: str
    interval: str
    interval_count: int


class OrderLine(Document):
    """A line; `tax_rate` in percent with two implicit decimals: 2500 is 25 %.

    `total_amount` is `quantity * unit_price - total_discount_amount`, all of them with tax. A
    discount is a line with negative amounts.
    """

    name: str
    quantity: int
    unit_price: int
    total_amount: int
    type: Open[OrderLineType] | None = None
    reference: str | None = None
    quantity_unit: str | None = None
    tax_rate: int | None = None
    total_tax_amount: int | None = None
    total_discount_amount: int | None = None
    image_url: str | None = None
    product_url: str | None = None
    merchant_data: str | None = None
    product_identifiers: ProductIdentifiers | None = None
    subscription: Subscription | None = None


class ShippingInfo(Document):
    """One parcel: who carries it, how, and where it can be followed; the way back likewise."""

    shipping_company: str | None = None
    shipping_method: Open[ShippingMethod] | None = None
    tracking_number: str | None = None
    tracking_uri: str | None = None
    return_shipping_company: str | None = None
    return_tracking_number: str | None = None
    return_tracking_uri: str | None = None


class Capture(Document):
    """What was captured at one time."""

    capture_id: str | None = None
    klarna_reference: str | None = None
    reference: str | None = None
    description: str | None = None
    captured_amount: int | None = None
    refunded_amount: int | None = None
    captured_at: Moment | None = None
    order_lines: list[OrderLine] | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    shipping_info: list[ShippingInfo] | None = None


class Refund(Document):
    """What was paid back at one time."""

    refund_id: str | None = None
    reference: str | None = None
    description: str | None = None
    refunded_amount: int | None = None
    refunded_at: Moment | None = None
    order_lines: list[OrderLine] | None = None
    credit_invoice: bool | None = None


class InitialPaymentMethod(Document):
    """How the customer chose to pay; `type` is an open set, with INVOICE and CARD in it."""

    type: str | None = None
    description: str | None = None
    number_of_installments: int | None = None


class OrderDetails(Document):
    """An order as a GET shows it, whole.

    There is no "acknowledged" in it. `remaining_authorized_amount` is what can still be captured.
    """

    order_id: str
    status: Open[OrderStatus]
    fraud_status: Open[FraudStatus] | None = None
    order_amount: int | None = None
    original_order_amount: int | None = None
    captured_amount: int | None = None
    refunded_amount: int | None = None
    remaining_authorized_amount: int | None = None
    purchase_currency: str | None = None
    purchase_country: str | None = None
    locale: str | None = None
    klarna_reference: str | None = None
    merchant_reference1: str | None = None
    merchant_reference2: str | None = None
    merchant_data: str | None = None
    created_at: Moment | None = None
    expires_at: Moment | None = None
    order_lines: list[OrderLine] | None = None
    customer: Customer | None = None
    billing_address: Address | None = None
    shipping_address: Address | None = None
    shipping_info: list[ShippingInfo] | None = None
    selected_shipping_option: dict[str, JsonValue] | None = None
    initial_payment_method: InitialPaymentMethod | None = None
    captures: list[Capture] | None = None
    refunds: list[Refund] | None = None


Lines = Annotated[list[OrderLine], Field(max_length=1000)]
Parcels = Annotated[list[ShippingInfo], Field(max_length=500)]


class RequestDocument(Document):
    """What is sent. A field of another name is a mistake here, and is refused."""

    model_config = ConfigDict(extra="forbid")


class AuthorizationUpdate(RequestDocument):
    """A new amount for an order, and the lines that replace all others; None deletes them."""

    order_amount: Amount
    order_lines: Lines | None
    description: Text255 | None = None


class MerchantReferences(RequestDocument):
    """New references. One that is left out stays as it is, `""` clears it."""

    merchant_reference1: Text255 | None = None
    merchant_reference2: Text255 | None = None

    @model_validator(mode="after")
    def _say_something(self) -> Self:
        if self.merchant_reference1 is None and self.merchant_reference2 is None:
            raise ValueError("merchant_reference1 or merchant_reference2 is needed")
        return self


class CustomerDetails(RequestDocument):
    """A new shipping address: a field that is left out stays as it is, `""` clears it."""

    shipping_address: Address


class AddedShippingInfo(RequestDocument):
    """Parcels that are added to those Klarna knows."""

    shipping_info: Annotated[Parcels, Field(min_length=1)]


class CaptureRequest(RequestDocument):
    """What to capture. `shipping_delay` has to be enabled for the merchant by Klarna."""

    captured_amount: Amount
    description: Text255 | None = None
    reference: Text255 | None = None
    order_lines: Lines | None = None
    shipping_info: Parcels | None = None
    shipping_delay: Annotated[int, Field(ge=0)] | None = None
