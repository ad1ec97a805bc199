"""A few prompt templates to begin with: offered on the page of templates, never added unasked."""

from __future__ import annotations

from app.core.prompt_templates import PromptMessage, PromptTemplate

EXAMPLES = (
    PromptTemplate(
        "summarize",
        """Summarize the text below in {{ length | default("five sentences") }}, in \
{{ language | default("the language of the text") }}. Keep names, numbers and dates. Add nothing that is not in it.

Text:
{{ text }}
""",
        title="Summarize a text",
        description="The gist of something long, at the length you choose.",
    ),
    PromptTemplate(
        "rewrite",
        """Rewrite the text below so that it sounds {{ tone | default("clear and friendly") }}, for \
{{ audience | default("a general reader") }}. Keep what it means. Answer with the new text only.

{{ text }}
""",
        title="Rewrite in another tone",
        description="The same message, said differently.",
    ),
    PromptTemplate(
        "explain",
        """Explain {{ topic }} to {{ audience | default("someone who is new to it") }}. Begin with the problem that it \
solves, give one concrete example, and end with a common misunderstanding.
""",
        title="Explain something",
        description="From the problem to an example, for the reader you name.",
    ),
    PromptTemplate(
        "review-code",
        """Review this {{ language | default("code") }}. Look for mistakes first, then for anything hard to read; \
{{ focus | default("leave matters of taste out") }}. For each finding name the line, say what is wrong and show the fix.

```{{ language | default("") | lower }}
{{ code }}
```
""",
        title="Review code",
        description="Mistakes first, then readability.",
    ),
    PromptTemplate(
        "interview",
        (
            PromptMessage(
                "system",
                "You interview the user for the position of {{ position }}. Ask one question at a time, wait for the "
                "answer, and go deeper where it is vague. After {{ questions | default(6) }} questions, say what was "
                "strong, what was weak, and what to practise.",
            ),
            PromptMessage("user", "I am ready. Please ask your first question."),
        ),
        title="Practise an interview",
        description="Several messages: one that sets the scene, and one that begins.",
    ),
)
