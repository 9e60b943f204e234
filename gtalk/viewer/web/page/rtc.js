// Picture and sound of the session by WebRTC (WHEP), beside the socket, which keeps the buttons: `?rtc=1`.

const GATHER_MS = 2000;

export class Rtc {
  /** Shows the session in a <video>. `told` gets words for the page. Throws an Error where it cannot be. */
  static async open(video, told) {
    const address = new URL("whep", new URL("./", location.href));
    const asked = await fetch(address);
    if (!asked.ok) throw new Error(`the server offers no WebRTC (${asked.status})`);
    const connection = new RTCPeerConnection({ iceServers: (await asked.json()).ice });
    connection.addTransceiver("video", { direction: "recvonly" });
    const microphone = connection.addTransceiver("audio", { direction: "sendrecv" });
    const stream = new MediaStream(), arrived = new Promise((done) => { video.onplaying = done; });
    connection.ontrack = ({ track }) => { stream.addTrack(track); video.srcObject = stream; };
    await connection.setLocalDescription();
    await gathered(connection);
    const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/sdp" }, body: connection.localDescription.sdp });
    if (!answer.ok) throw new Error((await answer.text()).trim());
    await connection.setRemoteDescription({ type: "answer", sdp: await answer.text() });
    connection.onconnectionstatechange = () => { if (connection.connectionState === "failed") told("WebRTC found no way to the server: is a TURN server needed (--ice)?"); };
    const place = new URL(answer.headers.get("Location"), address);
    addEventListener("pagehide", () => fetch(place, { method: "DELETE", keepalive: true }));
    return new Rtc(connection, microphone, arrived);
  }

  constructor(connection, microphone, arrived) { Object.assign(this, { connection, microphone, arrived }); }

  /** Speak with this track of a microphone; null to be quiet. */
  speak(track) { return this.microphone.sender.replaceTrack(track); }
}

function gathered(connection) {
  return new Promise((done) => {
    if (connection.iceGatheringState === "complete") return done();
    connection.addEventListener("icegatheringstatechange", () => { if (connection.iceGatheringState === "complete") done(); });
    setTimeout(done, GATHER_MS);
  });
}
