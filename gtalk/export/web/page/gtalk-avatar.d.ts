/** A person made by gtalk, drawn in the page: `<gtalk-avatar src="me/" background="plate" orbit>`. */
export class GtalkAvatar extends HTMLElement {
  /** What avatar.bin says: whose likeness it is, camera, sizes. Undefined before `ready`. */
  readonly header?: { generated: true; person: string; avatar_id: string; consent_sha256: string; fps: number; codes: number };
  readonly playing: boolean;
  /** Seconds of the message. */
  readonly duration: number;
  readonly currentTime: number;
  /** WebVTT. */
  readonly captions: string;
  /** Milliseconds of the processor that the last pictures took. */
  readonly drawTimes: number[];
  /** What the face expresses over all that it does: "happy:0.7", "happy:0.5,surprised:0.3", "mouthSmile:0.4". */
  emotion: string;
  /** "visitor": at who looks from aside; "10,-5": degrees to the image's right and upwards. */
  gaze: string;
  /** Weights of ARKit's shapes by name, 0 to 1. */
  shapes: Record<string, number>;
  play(message: string | ArrayBuffer): Promise<void>;
  /** Says a recording whose motion is made in the page; resolves when it has begun. `captions`: WebVTT. */
  speak(recording: string | Blob | ArrayBuffer, captions?: string): Promise<void>;
  /** Moves with a stream's sound, by default the visitor's microphone, which stays in the page. `audible`: in time with the lips. */
  listen(stream?: MediaStream | null, options?: { audible?: boolean }): Promise<void>;
  /** Ends `listen`. */
  hush(): void;
  resume(): Promise<void>;
  pause(): void;
  seek(seconds: number): void;
  /** Radians, and times the clip's distance. */
  turn(yaw: number, pitch?: number, distance?: number): void;
  /** One frame of numbers as a message has them, shown while nothing plays; null for the person at rest. */
  show(row: Float32Array | null): void;
  addEventListener(type: "ready" | "play" | "pause" | "ended" | "listening" | "hushed", listener: (event: Event) => void): void;
  addEventListener(type: "caption" | "emotion", listener: (event: CustomEvent<string>) => void): void;
  addEventListener(type: "error", listener: (event: ErrorEvent) => void): void;
}

declare global {
  interface HTMLElementTagNameMap {
    "gtalk-avatar": GtalkAvatar;
  }
}
