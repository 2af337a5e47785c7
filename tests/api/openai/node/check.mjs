// The official `openai` package of npm, unchanged, against the server whose address and key are in
// the environment. Every check is an assertion; what fails ends the process with status 1.

import assert from "node:assert/strict";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";

const client = new OpenAI({
  baseURL: process.env.SERVER_URL,
  apiKey: process.env.SERVER_KEY,
  maxRetries: 0,
});
const model = "support-bot@production";
const messages = [{ role: "user", content: "Where is my parcel?" }];
const tool = {
  type: "function",
  function: { name: "look_up", parameters: { type: "object", properties: {} } },
};

const checks = {
  async "a plain answer"() {
    const { data, response } = await client.chat.completions
      .create({ model, messages, temperature: 1.5 })
      .withResponse();
    assert.equal(data.choices[0].message.content, "Where is my parcel?");
    assert.equal(data.choices[0].finish_reason, "stop");
    assert.ok(data.usage.total_tokens > 0);
    assert.equal(response.headers.get("x-workbench-alias"), model);
    assert.equal(response.headers.get("x-workbench-ignored"), "temperature");
    assert.equal(data._request_id, response.headers.get("x-request-id"));
  },

  async "a stream, with its usage in the end"() {
    const stream = await client.chat.completions.create({
      model,
      messages,
      stream: true,
      stream_options: { include_usage: true },
    });
    let text = "";
    let usage = null;
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? "";
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, "Where is my parcel?");
    assert.ok(usage.total_tokens > 0);
  },

  async "the stream helper"() {
    const stream = client.chat.completions.stream({ model, messages });
    assert.equal(await stream.finalContent(), "Where is my parcel?");
  },

  async "tool calls, whole and streamed"() {
    const request = { model, messages, tools: [tool], tool_choice: "required" };
    const plain = await client.chat.completions.create(request);
    const streamed = await client.chat.completions.stream(request).finalChatCompletion();
    for (const reply of [plain, streamed]) {
      assert.equal(reply.choices[0].finish_reason, "tool_calls");
      assert.equal(reply.choices[0].message.tool_calls[0].function.name, "look_up");
    }
  },

  async "the prompt's variables"() {
    const request = { model: "greeter@production", messages };
    await client.chat.completions.create({ ...request, prompt: { variables: { shop: "Books" } } });
    await assert.rejects(client.chat.completions.create(request), (error) => {
      assert.ok(error instanceof BadRequestError);
      assert.equal(error.param, "prompt.variables.shop");
      return true;
    });
  },

  async "errors"() {
    const unknown = client.chat.completions.create({ model: "nothing@production", messages });
    await assert.rejects(unknown, (error) => {
      assert.ok(error instanceof NotFoundError);
      assert.equal(error.code, "model_not_found");
      assert.ok(error.requestID);
      return true;
    });
    const stranger = client.withOptions({ apiKey: "sk-wrong" });
    await assert.rejects(stranger.models.list(), AuthenticationError);
  },

  async "a stream that breaks off"() {
    const cut = { model: "openai/fault-stream-cut-before-finish", messages, stream: true };
    const stream = await client.chat.completions.create(cut);
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, OpenAI.APIError);
  },

  async "models"() {
    const listed = [];
    for await (const { id } of client.models.list()) listed.push(id);
    assert.ok(listed.includes(model));
    assert.equal((await client.models.retrieve(model)).id, model);
  },
};

for (const [name, check] of Object.entries(checks)) {
  await check();
  console.log(`passed: ${name}`);
}
