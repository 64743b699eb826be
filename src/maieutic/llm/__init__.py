"""The one language-model layer, thin over Inspect: any of its providers, asked many prompts at once.

It sends what it is given and reports what came, or why nothing did. It does not build prompts, judge answers, or hide a
failed request: a refusal, an empty answer or an answer that does not follow its schema is a failure with a reason.
Importing this loads no provider; the first question does.
"""

from maieutic.llm.answers import Answer, Prompt, Turn
from maieutic.llm.backbone import Backbone, backbone

__all__ = ["Answer", "Backbone", "Prompt", "Turn", "backbone"]
