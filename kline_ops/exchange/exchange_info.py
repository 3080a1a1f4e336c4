"""What ``GET /api/v3/exchangeInfo`` says.

Source: Binance spot API, "Exchange information" and "Filters".
"""

from __future__ import annotations

from collections.abc import Iterable

from kline_ops.exchange.symbols import UNIT, Symbol, text

_ORDER_TYPES = [
    "LIMIT",
    "LIMIT_MAKER",
    "MARKET",
    "STOP_LOSS",
    "STOP_LOSS_LIMIT",
    "TAKE_PROFIT",
    "TAKE_PROFIT_LIMIT",
]
_LARGEST = text(9_000_000 * UNIT)


def exchange_info(
    symbols: Iterable[Symbol], now_ms: int, weight_per_minute: int
) -> dict[str, object]:
    """The answer for these symbols; ``now_ms`` is the server's time."""
    return {
        "timezone": "UTC",
        "serverTime": now_ms,
        "rateLimits": [
            _rate_limit("REQUEST_WEIGHT", "MINUTE", 1, weight_per_minute),
            _rate_limit("ORDERS", "SECOND", 10, 100),
            _rate_limit("ORDERS", "DAY", 1, 200_000),
            _rate_limit("RAW_REQUESTS", "MINUTE", 5, 61_000),
        ],
        "exchangeFilters": [],
        "symbols": [_symbol(symbol) for symbol in symbols],
    }


def _rate_limit(kind: str, interval: str, number: int, limit: int) -> dict[str, object]:
    return {
        "rateLimitType": kind,
        "interval": interval,
        "intervalNum": number,
        "limit": limit,
    }


def _symbol(symbol: Symbol) -> dict[str, object]:
    return {
        "symbol": symbol.name,
        "status": "TRADING",
        "baseAsset": symbol.base,
        "baseAssetPrecision": 8,
        "quoteAsset": symbol.quote,
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": _ORDER_TYPES,
        "icebergAllowed": True,
        "ocoAllowed": True,
        "otoAllowed": True,
        "quoteOrderQtyMarketAllowed": True,
        "allowTrailingStop": True,
        "cancelReplaceAllowed": True,
        "amendAllowed": True,
        "pegInstructionsAllowed": True,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "filters": _filters(symbol),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": "EXPIRE_MAKER",
        "allowedSelfTradePreventionModes": ["EXPIRE_TAKER", "EXPIRE_MAKER", "EXPIRE_BOTH"],
    }


def _filters(symbol: Symbol) -> list[dict[str, object]]:
    tick, lot = text(symbol.tick), text(symbol.lot)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": tick,
            "maxPrice": text(symbol.price_ticks * symbol.tick * 100),
            "tickSize": tick,
        },
        {"filterType": "LOT_SIZE", "minQty": lot, "maxQty": _LARGEST, "stepSize": lot},
        {"filterType": "ICEBERG_PARTS", "limit": 10},
        {
            "filterType": "MARKET_LOT_SIZE",
            "minQty": text(0),
            "maxQty": _LARGEST,
            "stepSize": text(0),
        },
        {
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": "5",
            "bidMultiplierDown": "0.2",
            "askMultiplierUp": "5",
            "askMultiplierDown": "0.2",
            "avgPriceMins": 5,
        },
        {
            "filterType": "NOTIONAL",
            "minNotional": text(UNIT // 10_000 if symbol.quote == "BTC" else 5 * UNIT),
            "applyMinToMarket": True,
            "maxNotional": _LARGEST,
            "applyMaxToMarket": False,
            "avgPriceMins": 5,
        },
        {"filterType": "MAX_NUM_ORDERS", "maxNumOrders": 200},
        {"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": 5},
    ]
