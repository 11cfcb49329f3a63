/** The job queue: Amazon's SQS protocol in JSON, as Scaleway speaks it. */

import { AwsClient } from "aws4fetch";

export interface Message {
  MessageId: string;
  ReceiptHandle: string;
  Body: string;
}

export interface QueueSettings {
  url?: string;
  endpoint?: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
}

export class Queue {
  private readonly client: AwsClient;
  private readonly endpoint: string;

  constructor(
    private readonly url: string,
    settings: QueueSettings,
  ) {
    const { region, accessKeyId, secretAccessKey } = settings;
    this.client = new AwsClient({ service: "sqs", region, accessKeyId, secretAccessKey, retries: 3 });
    this.endpoint = settings.endpoint || new URL(url).origin;
  }

  /** Puts a message on the queue; its id. */
  async send(body: string): Promise<string> {
    return (await this.call<{ MessageId: string }>("SendMessage", { MessageBody: body })).MessageId;
  }

  /** One message, waiting for it up to `seconds`. */
  async receive(seconds: number): Promise<Message | undefined> {
    const asked = { MaxNumberOfMessages: 1, WaitTimeSeconds: seconds };
    return (await this.call<{ Messages?: Message[] }>("ReceiveMessage", asked)).Messages?.[0];
  }

  /** Removes a message that is done. */
  async delete(message: Message): Promise<void> {
    await this.call("DeleteMessage", { ReceiptHandle: message.ReceiptHandle });
  }

  private async call<Answer>(action: string, asked: object): Promise<Answer> {
    const response = await this.client.fetch(this.endpoint, {
      method: "POST",
      headers: { "content-type": "application/x-amz-json-1.0", "x-amz-target": `AmazonSQS.${action}` },
      body: JSON.stringify({ QueueUrl: this.url, ...asked }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${action}: ${response.status} ${text.slice(0, 500)}`);
    return (text ? JSON.parse(text) : {}) as Answer;
  }
}
