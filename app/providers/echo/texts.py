"""What the demo model says."""

from __future__ import annotations

from itertools import cycle, islice

ABOUT = """\
I am **Echo**, the demo that is built into Palaver. I repeat what I am told; I do not think. \
Type `help` to see what I can show, and how to add a real model."""

BUILT_IN_TOOLS = frozenset({"current_time", "calculate", "fetch_page", "search_conversations", "read_attachment"})
"""The others are the front end's, or those of modules and MCP servers."""

NO_TOOL = """\
There is no such tool here. My preset must have tools (`tools = ["*"]` for all of them), or your front end must send \
its own."""

HELP = """\
I am **Echo**, a demo without a model behind it. Begin a message with one of these words:

| Command | What you will see |
| --- | --- |
| `markdown` | every kind of formatting in one answer |
| `think` | thinking first, then the answer |
| `slow 50` | 50 words, ten a second: time to press Stop or to reload |
| `long 20` | 20 paragraphs as fast as they go |
| `json` | structured data |
| `time` | a tool that tells the time in three places |
| `calculate 2+3*4` | a tool that calculates exactly |
| `both` | two tools at once |
| `approve` | a tool that asks you first |
| `client` | a tool that your own front end runs, if it sends one |
| `tool fail` | a tool that fails |
| `tool name {}` | any tool that is offered, with arguments as JSON; several names without any are called at once |
| `loop` | a model that calls a tool again and again, until it is stopped |
| `image` | what kind of image you attached |
| `html` | a model that tries to smuggle a script into the page |
| `error` | a failure before the first word |
| `error midway` | a failure in the middle of an answer |
| `say hello` | exactly the words you give me |
| `help` | this table |

Anything else I repeat.

### To talk to a real model

- **With a key:** set `ANTHROPIC_API_KEY`, `OPENAI_API_KEY`, `GROQ_API_KEY` or `GEMINI_API_KEY` and start Palaver again.
- **On your own machine:** start Ollama, LM Studio, llama.cpp or vLLM, then Palaver again. It finds them by itself.
- **Anything else:** describe it in `palaver.toml`:

```toml
[presets.mine]
provider = "openai-chat"
base_url = "http://127.0.0.1:8080/v1"
model = "any"
```
"""

MARKDOWN = """\
# Everything at once

A paragraph with **bold**, *italic*, ~~struck~~ and `inline code`, a [link](https://www.example.org/ "a title"), \
a bare address https://www.example.org/ and an emoji 🎈. The next line
is the same paragraph; this one ends hard.\\
So this stands below.

## Lists

1. First
2. Second
   - nested
   - **bold** and `code` inside
     - deeper still
3. Third

- [x] a task that is done
- [ ] a task that is not

### A table

| Language | Typing | Born | Speed |
| :--- | :---: | ---: | --- |
| Python | dynamic | 1991 | `slow`, pleasantly |
| TypeScript | gradual | 2012 | fast |
| Rust | static | 2015 | *very* fast |

### A quote

> Make it work, make it right, make it fast.
>
> > And keep it simple.

---

#### Code

```python
def fibonacci(n: int) -> list[int]:
    \"\"\"The first n numbers.\"\"\"
    numbers = [0, 1]
    while len(numbers) < n:
        numbers.append(sum(numbers[-2:]))
    return numbers[:n]
```

```javascript
const answer = await fetch("/api/ai/chat/demo", { method: "POST", body });
for await (const chunk of answer.body) console.log(chunk); // <b>not bold</b>
```

```sql
SELECT title, count(*) AS messages FROM conversations GROUP BY title ORDER BY messages DESC;
```

    indented code, and a very long line that has to scroll inside its own box instead of widening the whole page for it

An image from elsewhere, which must not load by itself: ![a cat](https://images.example.org/cat.png)

Entities &amp; escapes: 1 < 2, \\*no emphasis\\*, &copy; 2026.
"""

THOUGHT = """\
The user would like to see me think. I have nothing to think with, so I will describe it instead.

First I look at the question. Then I consider what a demo can honestly say. Finally I choose to be brief."""

THOUGHTFUL = """\
That was my thinking, folded away above. A real model does it in earnest when its preset says \
`thinking = "medium"`, or when you choose so."""

BREAKING = """\
This answer looks fine at first. It has a beginning, it has a middle, and you may begin to trust it; but the \
connection to its model is about to be lost, and these last words will never arrive."""

JSON = """\
```json
{
  "model": "echo",
  "demo": true,
  "can": ["markdown", "thinking", "errors"],
  "words_per_second": 66.7,
  "nested": {"null": null, "text": "with \\"quotes\\" and ünïcode"}
}
```
"""

HTML = """\
A model could try this. All of it should stay text, and nothing should happen:

<script>document.title = "hacked"; alert("hacked")</script>

<img src="x" onerror="document.title = 'hacked'"> <svg onload="document.title = 'hacked'"></svg>

<button hx-get="/api/ai/conversations" hx-trigger="load" hx-target="body">a button</button>

[a link that is a script](javascript:document.title='hacked') and \
[another](data:text/html,<script>alert(1)</script>)

<style>body { display: none }</style><iframe src="https://www.example.org/"></iframe>

If you can read this and the title of the page is what it was, all is well.
"""

NO_IMAGE = "There is no image in your message. Attach one, and I will tell its type and size."

_SENTENCES = (
    "A palaver is a long conversation, and this is one paragraph of it.",
    "It says nothing, at some length, so that you can watch it arrive.",
    "Scroll up while it grows, and the page should stay where you are.",
    "Reload in the middle, and it should go on where it was.",
    "Press Stop, and what was said so far should stay.",
)


def some_words(count: int) -> str:
    """Exactly `count` words."""
    words = " ".join(_SENTENCES).split()
    return " ".join(islice(cycle(words), count))


def some_paragraphs(count: int) -> str:
    return "\n\n".join(f"**{number}.** {' '.join(_SENTENCES)}" for number in range(1, count + 1))
