"""Chat templates in the styles of well-known model families, written for these tests: all must be accepted."""

from __future__ import annotations

CHAT_TEMPLATES: dict[str, str] = {
    "chatml": """{% for message in messages %}
{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}
{% endfor %}
{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}""",
    "llama 2": """{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content'] | trim %}{%- set messages = messages[1:] %}
{%- else %}{%- set system_message = '' %}{%- endif %}
{%- for message in messages %}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}
        {{- raise_exception('Roles must alternate user/assistant/user/assistant.') }}
    {%- endif %}
    {%- if loop.first and system_message %}{% set content = '<<SYS>>\\n' ~ system_message ~ '\\n<</SYS>>\\n\\n' ~ message['content'] %}
    {%- else %}{% set content = message['content'] %}{% endif %}
    {%- if message['role'] == 'user' %}{{ bos_token + '[INST] ' + content.strip() + ' [/INST]' }}
    {%- elif message['role'] == 'assistant' %}{{ ' ' ~ content | trim ~ ' ' ~ eos_token }}{%- endif %}
{%- endfor %}""",
    "llama 3 with tools": """{{- bos_token }}
{%- if custom_tools is defined %}{%- set tools = custom_tools %}{%- endif %}
{%- if not tools_in_user_message is defined %}{%- set tools_in_user_message = true %}{%- endif %}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}{%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}{%- set date_string = "26 Jul 2024" %}{%- endif %}
{%- endif %}
{%- if not tools is defined %}{%- set tools = none %}{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\nToday: " + date_string + "\\n" }}
{%- if builtin_tools is defined or tools is not none %}{{- "Environment: ipython\\n" }}{%- endif %}
{%- if builtin_tools is defined %}
    {{- "Tools: " + builtin_tools | reject('equalto', 'code_interpreter') | join(", ") + "\\n\\n" }}
{%- endif %}
{%- if tools is not none %}{%- for t in tools %}{{- t | tojson(indent=4) }}{{- "\\n\\n" }}{%- endfor %}{%- endif %}
{%- for message in messages %}
    {%- if not (message.role == 'ipython' or message.role == 'tool' or 'tool_calls' in message) %}
        {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n' + message['content'] | trim + '<|eot_id|>' }}
    {%- elif 'tool_calls' in message %}
        {%- if not message.tool_calls | length == 1 %}{{- raise_exception("One tool-call at a time!") }}{%- endif %}
        {%- set tool_call = message.tool_calls[0].function %}
        {{- '{"name": "' + tool_call.name + '", "parameters": ' }}{{- tool_call.arguments | tojson }}{{- "}<|eot_id|>" }}
        {%- for arg_name, arg_val in tool_call.arguments | items %}
            {{- arg_name + '="' + arg_val + '"' }}{%- if not loop.last %}{{- ", " }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if message.content is mapping or message.content is iterable %}{{- message.content | tojson }}
        {%- else %}{{- message.content }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{%- endif %}""",
    "mistral with tools": """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}{%- set loop_messages = messages[1:] %}
{%- else %}{%- set loop_messages = messages %}{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace(index=0) %}
{%- for message in loop_messages %}
    {%- if not (message.role == "tool" or message.role == "tool_results"
        or (message.tool_calls is defined and message.tool_calls is not none)) %}
        {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}{{- raise_exception("Roles must alternate.") }}{%- endif %}
        {%- set ns.index = ns.index + 1 %}
    {%- endif %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if tools is not none and (message == user_messages[-1]) %}
            {{- "[AVAILABLE_TOOLS] [" }}
            {%- for tool in tools %}
                {%- set tool = tool.function %}
                {{- '{"type": "function", "function": {' }}
                {%- for key, val in tool.items() if key != "return" %}
                    {%- if val is string %}{{- '"' + key + '": "' + val + '"' }}{%- else %}{{- '"' + key + '": ' + val|tojson }}{%- endif %}
                    {%- if not loop.last %}{{- ", " }}{%- endif %}
                {%- endfor %}
                {{- "}}" }}
            {%- endfor %}
            {{- "[/AVAILABLE_TOOLS]" }}
        {%- endif %}
        {{- "[INST] " + message["content"] + "[/INST]" }}
    {%- elif message.tool_calls is defined and message.tool_calls is not none %}
        {%- for tool_call in message.tool_calls %}
            {%- set out = tool_call.function|tojson %}
            {{- out[:-1] }}
            {%- if not tool_call.id is defined or tool_call.id|length != 9 %}
                {{- raise_exception("Tool call IDs should be 9 long!") }}{%- endif %}
            {{- ', "id": "' + tool_call.id|string + '"}' }}
        {%- endfor %}
    {%- elif message["role"] == "assistant" %}{{- " " + message["content"]|trim + eos_token }}
    {%- endif %}
{%- endfor %}""",
    "qwen with tools and reasoning": """{%- if tools %}
    {{- '<|im_start|>system\\n' }}
    {%- if messages[0].role == 'system' %}{{- messages[0].content + '\\n\\n' }}{%- endif %}
    {{- "# Tools\\n\\n<tools>" }}
    {%- for tool in tools %}{{- "\\n" }}{{- tool | tojson }}{%- endfor %}
    {{- "\\n</tools>\\n\\n<tool_call>\\n{\\"name\\": <function-name>, \\"arguments\\": <args-json-object>}\\n</tool_call><|im_end|>\\n" }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" and message.content is string
        and not(message.content.startswith('<tool_response>') and message.content.endswith('</tool_response>')) %}
        {%- set ns.multi_step_tool = false %}{%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- if message.content is string %}{%- set content = message.content %}{%- else %}{%- set content = '' %}{%- endif %}
    {%- if message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if message.reasoning_content is string %}{%- set reasoning_content = message.reasoning_content %}
        {%- elif '</think>' in content %}
            {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}
            {%- set content = content.split('</think>')[-1].lstrip('\\n') %}
        {%- endif %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or (not loop.last and reasoning_content)) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') + '\\n</think>\\n\\n' + content }}
        {%- else %}{{- '<|im_start|>' + message.role + '\\n' + content }}{%- endif %}
        {%- for tool_call in message.tool_calls %}
            {%- if tool_call.function %}{%- set tool_call = tool_call.function %}{%- endif %}
            {{- '<tool_call>\\n{"name": "' }}{{- tool_call.name }}{{- '", "arguments": ' }}
            {%- if tool_call.arguments is string %}{{- tool_call.arguments }}{%- else %}{{- tool_call.arguments | tojson }}{%- endif %}
        {%- endfor %}
    {%- elif message.role == "tool" %}
        {%- if loop.first or (messages[loop.index0 - 1].role != "tool") %}{{- '<|im_start|>user' }}{%- endif %}
        {{- '\\n<tool_response>\\n' + content + '\\n</tool_response>' }}
        {%- if loop.last or (messages[loop.index0 + 1].role != "tool") %}{{- '<|im_end|>\\n' }}{%- endif %}
    {%- endif %}
{%- endfor %}
{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}{%- endif %}""",
    "macros for types": """{%- macro render_type(spec, required, is_nullable=false) -%}
    {%- if spec.type == "array" -%}
        {%- if spec['items'] -%}{{- render_type(spec['items'], required) + "[]" }}{%- else -%}{{- "any[]" }}{%- endif -%}
    {%- elif spec.type is defined and spec.type is iterable and spec.type is not string and spec.type[0] -%}{{- spec.type | join(" | ") }}
    {%- elif spec.oneOf -%}
        {%- set options = [] -%}
        {%- for variant in spec.oneOf -%}{%- set _ = options.append(variant.type|upper) -%}{%- endfor -%}
        {{- options | unique | sort | join(" | ") -}}
    {%- elif spec.type == "object" and spec.properties -%}
        {%- for name, prop in spec.properties.items() -%}
            {{- name -}}{%- if name not in (spec.required or []) -%}{{- "?" }}{%- endif -%}
            {{- ": " + render_type(prop, spec.required or []) -}}{%- if not loop.last -%}, {% endif -%}
        {%- endfor -%}
    {%- else -%}{{- spec.type|default("any") }}{%- endif -%}
    {%- if is_nullable -%}{{- " | null" }}{%- endif -%}
{%- endmacro -%}
{%- for tool in tools -%}
    {%- set params = tool.function.parameters -%}
    {{- "type " + tool.function.name + " = (_: " + render_type(params, params.required) + ") => any;\\n" }}
    {%- for key in params.properties -%}{{- "// " + params.properties[key].description -}}{%- endfor -%}
{%- endfor -%}
{%- for message in messages -%}{{- "<|start|>" + message.role + "<|message|>" + message.content + "<|end|>" -}}{%- endfor -%}""",
    "gemma": """{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
{% for message in messages %}
{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}{% endif %}
{%- if message['content'] is iterable and message['content'] is not string -%}
{%- for item in message['content'] -%}{%- if item['type'] == 'image' -%}{{ '<start_of_image>' }}{%- elif item['type'] == 'text' -%}
{{ item['text'] | trim }}{%- endif -%}{%- endfor -%}{% else %}{{ '<start_of_turn>' + role + '\\n' + message['content'] | trim }}{% endif %}
{{ '<end_of_turn>\\n' }}{% endfor %}""",
    "counters beside texts": """{%- set ns = namespace(system='', index=0, parts=[]) %}
{%- for message in messages %}
    {%- if message.role == 'system' %}{%- set ns.system = ns.system + '\\n' + message.content %}{%- endif %}
    {%- if message.role == 'user' %}{%- set ns.index = loop.index0 %}{%- endif %}
    {%- set _ = ns.parts.append('[' ~ message.role ~ ']') %}
{%- endfor %}
{{- ns.system }}{{ messages[ns.index]['content'] }}{{ ns.parts | join(' ') }}
{%- for key in messages[ns.index].extra %}{{ key }}={{ messages[ns.index].extra[key] }}{% endfor %}""",
    "marked for training": """{% for message in messages %}{% if message.role == 'assistant' %}{% generation %}
{{ message.content }}{% endgeneration %}
{% else %}{{ message['role'] ~ ': ' ~ message['content'] }}{% endif %}{% if loop.index > 20 %}{% break %}{% endif %}{% endfor %}""",
    "command style with documents": """{%- set roles = {'user': '<|USER|>', 'assistant': '<|CHATBOT|>', 'system': '<|SYSTEM|>'} -%}
{%- for message in messages -%}{{ roles[message.role] ~ message.content }}{%- endfor -%}
{%- if documents -%}{%- for document in documents -%}
Document: {{ loop.index0 }}{% for key, value in document.items() %}\\n{{ key | title }}: {{ value }}{% endfor -%}
{%- endfor -%}{%- endif -%}
{%- for key in ['title', 'text'] -%}{{ documents[0][key] | default('') }}{%- endfor -%}""",
    "names with an underscore": """{%- for tc in messages[0].tool_calls or [] %}{%- set _args = tc.arguments %}
{%- for k, v in _args.items() %}<arg_key>{{ k }}</arg_key>{{ _args[k] if _args[k] is string else v | tojson }}{% endfor %}{% endfor %}
{%- for role in ['user', 'tool'] %}{% set here = messages[loop.index0] %}
{% set there = tools[messages[0].name] %}{{ here[role] }}{{ there[0] }}{% endfor %}""",
    "macros over parts of the chat": """{%- macro fields(spec, indent=0) -%}
    {%- for key in spec.properties|list|sort -%}{{ key }}: {{ spec.properties[key].type }} {{ spec.properties[key].format }}{%- endfor -%}
{%- endmacro -%}
{%- for tool in tools if tool.type == 'function' -%}{{ fields(tool.function.parameters, indent=2) }}{%- endfor -%}
{%- for i in range(messages|length) -%}{{ messages[i].content }}{%- endfor -%}""",
}
"""style -> template"""
