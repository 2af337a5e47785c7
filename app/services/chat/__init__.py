"""Chats in production: one admission, one call, one settlement, one terminal row."""

from app.services.chat.call import ChatCall
from app.services.chat.service import CHAT_RETRY, ChatService

__all__ = ["CHAT_RETRY", "ChatCall", "ChatService"]
