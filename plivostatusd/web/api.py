"""The local application: the map from paths to handlers."""

from __future__ import annotations

from tornado.web import Application

from plivostatusd.web.backup import BackupHandler
from plivostatusd.web.description import DescriptionHandler
from plivostatusd.web.doctor import (
    DoctorHandler,
    DoctorRefusedHandler,
    DoctorStoreHandler,
    ProbeHandler,
    TokensHandler,
)
from plivostatusd.web.events import EventsHandler
from plivostatusd.web.evidence import EvidenceHandler
from plivostatusd.web.export import ExportHandler
from plivostatusd.web.forget import ForgetHandler
from plivostatusd.web.handler import Nowhere, Services
from plivostatusd.web.imports import ImportHandler
from plivostatusd.web.messages import CancelHandler, MessageHandler, MessagesHandler
from plivostatusd.web.operations import (
    HealthHandler,
    HoldHandler,
    MetricsHandler,
    ReadyHandler,
)
from plivostatusd.web.rebuild import RebuildHandler
from plivostatusd.web.reconcile import ReconcileHandler
from plivostatusd.web.replay import ReplayHandler
from plivostatusd.web.sends import SendHandler
from plivostatusd.web.settle import SettleHandler
from plivostatusd.web.stats import StatsHandler


def application(services: Services) -> Application:
    """Make the local API over *services*."""
    return Application(
        [
            (r"/send", SendHandler),
            (r"/messages", MessagesHandler),
            (r"/messages/([0-9A-Za-z-]{1,64})", MessageHandler),
            (r"/messages/([0-9A-Za-z-]{1,64})/cancel", CancelHandler),
            (r"/messages/([0-9A-Za-z-]{1,64})/settle", SettleHandler),
            (r"/messages/([0-9A-Za-z-]{1,64})/evidence", EvidenceHandler),
            (r"/events", EventsHandler),
            (r"/outbox/(hold|release)", HoldHandler),
            (r"/reconcile", ReconcileHandler),
            (r"/rebuild", RebuildHandler),
            (r"/tokens", TokensHandler),
            (r"/doctor", DoctorHandler),
            (r"/doctor/store", DoctorStoreHandler),
            (r"/doctor/refused", DoctorRefusedHandler),
            (r"/doctor/probe", ProbeHandler),
            (r"/backup", BackupHandler),
            (r"/export", ExportHandler),
            (r"/replay", ReplayHandler),
            (r"/forget", ForgetHandler),
            (r"/import", ImportHandler),
            (r"/health", HealthHandler),
            (r"/ready", ReadyHandler),
            (r"/metrics", MetricsHandler),
            (r"/stats", StatsHandler),
            (r"/openapi\.json", DescriptionHandler),
        ],
        default_handler_class=Nowhere,
        log_function=lambda _: None,
        services=services,
    )
