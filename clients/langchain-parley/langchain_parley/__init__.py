"""Documents and conversations of Parley for LangChain."""

from langchain_parley.history import NotStored, ParleyChatMessageHistory
from langchain_parley.retriever import ParleyRetriever

__all__ = ["NotStored", "ParleyChatMessageHistory", "ParleyRetriever"]
