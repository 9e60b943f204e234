"""A frame: visible surface, light, texture, strands, background; linear light, two samples a pixel each way."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from scipy import sparse

from demo_person.body.atlas import ATLAS
from demo_person.body.hair import hair_cover
from demo_person.body.rig import Expression
from demo_person.body.skin import paint_skin
from demo_person.drawing import lines
from demo_person.drawing.geometry import Sparse, vertex_normals
from demo_person.drawing.light import LAMPS, irradiance, room, sphere_directions, unit, visibility
from demo_person.drawing.paint import Atlas, paint_things
from demo_person.drawing.raster import Fragments, rasterise
from demo_person.drawing.scene import Person, Posed
from gtalk.dataset.format import MaskClass
from gtalk.types import Camera

SAMPLES = 2
LINING = np.array([0.22, 0.045, 0.040], np.float32)  # linear colour of the mouth's inside
_TO_LINEAR = (((np.arange(256) / 255 + 0.055) / 1.055) ** 2.4).astype(np.float32)
_TO_LINEAR[:11] = np.arange(11) / 255 / 12.92


@dataclass(frozen=True)
class Picture:
    """A rendered frame and what each pixel shows."""

    rgb: np.ndarray
    """[H,W,3] uint8."""
    label: np.ndarray
    """[H,W] uint8, MaskClass of the pixel's first sample."""


class Renderer:
    """Paints and lights a `Person` before a background."""

    def __init__(self, person: Person, camera: Camera, background: np.ndarray) -> None:
        self.person, self.camera = person, camera
        self.big = camera.resized(camera.width * SAMPLES, camera.height * SAMPLES)
        self.background = _linear(
            cv2.resize(background, (self.big.width, self.big.height), interpolation=cv2.INTER_CUBIC)
        )
        atlas = Atlas.blank()
        paint_things(atlas)
        paint_skin(atlas, person.meshes["skin"])
        self.colour, self.relief = atlas.packed()
        self._bake()
        # Skin that hair covers is never seen.
        hidden = hair_cover(person.rest, 0.045) > 0.999
        hidden[person.vertices["skin"].stop :] = False
        kept = ~hidden[person.triangles].all(1)
        self.drawn, self.drawn_label = person.triangles[kept], person.label[kept]
        self.lining = (self.drawn_label == MaskClass.MOUTH) & (person.part[kept] == 0)

    def _bake(self) -> None:
        # Half open, so that light finds its way into the mouth.
        person = self.person
        points = person.head_points(Expression(jaw=0.10, lower=0.3, upper=0.2))
        normals = vertex_normals(points, person.triangles, person._gather)
        self.directions = sphere_directions()
        self.visible = visibility(points, normals, person.triangles, self.directions)
        for name in ("upper_teeth", "lower_teeth"):
            self.visible[person.vertices[name]] *= 1.25  # light also comes through lips and enamel
        skin = person.vertices["skin"]
        spread = _averaging(person.meshes["skin"].triangles, skin.stop - skin.start)
        self.spread = (spread @ spread @ spread).tocsr()
        self.deep = self.spread @ (self.spread @ self.visible[skin])
        near = [np.argsort(-(self.directions @ unit(lamp.towards)))[:4] for lamp in LAMPS]
        self.lamp_visible = np.stack([self.visible[:, index].mean(1) for index in near], axis=1)

    def light(self, posed: Posed, R_world_head: np.ndarray, R_world_torso: np.ndarray) -> np.ndarray:
        """[V,3] diffuse light on every vertex; red travels farther inside the skin."""
        person = self.person
        torso = slice(person.vertices["sweater"].start, None)
        light = room(self.directions @ R_world_head.T)
        result = irradiance(posed.normals, self.visible, self.directions, light, 0.08)
        skin = person.vertices["skin"]
        soft = self.spread @ posed.normals[skin]
        soft /= np.maximum(np.linalg.norm(soft, axis=1, keepdims=True), 1e-9)
        deep = irradiance(soft, self.deep, self.directions, light, 0.28)
        share = np.array([0.75, 0.38, 0.22], np.float32)
        result[skin] += (deep - result[skin]) * share
        light = room(self.directions @ R_world_torso.T)
        result[torso] = irradiance(posed.normals[torso], self.visible[torso], self.directions, light, 0.05)
        return result

    def render(
        self, expression: Expression, T_world_head: np.ndarray, T_world_torso: np.ndarray
    ) -> tuple[Picture, Posed]:
        """The frame of an instant."""
        person, camera = self.person, self.big
        posed = person.pose(expression, T_world_head, T_world_torso)
        projected = camera.project(posed.points)
        depth = -(posed.points @ camera.T_camera_world[2, :3] * -1 - camera.T_camera_world[2, 3])
        found = rasterise(np.column_stack([projected, depth]), self.drawn, camera.width, camera.height)
        light = self.light(posed, T_world_head[:3, :3], T_world_torso[:3, :3])
        shade = _mouth_shade(person, expression)
        frame = self.background.copy()
        frame.reshape(-1, 3)[found.pixel] = self._shade(found, posed, light * shade, T_world_head, T_world_torso)
        label = np.zeros(camera.width * camera.height, np.uint8)
        label[found.pixel] = self.drawn_label[found.triangle]
        label = label.reshape(camera.height, camera.width)
        buffer = np.full(camera.width * camera.height, np.inf, np.float32)
        buffer[found.pixel] = found.depth
        scene = lines.View(camera, buffer.reshape(label.shape), T_world_head)
        frame, label = lines.draw_hair(frame, label, scene, person.strands, posed, person)
        frame = lines.draw_lashes(frame, scene, person, posed)
        return Picture(_develop(frame), _decide(label)), posed

    def _shade(
        self, found: Fragments, posed: Posed, light: np.ndarray, T_world_head: np.ndarray, T_world_torso: np.ndarray
    ) -> np.ndarray:
        values = np.concatenate([posed.normals, posed.uv * ATLAS - 0.5, light, self.lamp_visible], axis=1)
        at = found.interpolate(self.drawn, values.astype(np.float32))
        colour, relief = (_sample(texture, at[:, 3:5]) for texture in (self.colour, self.relief))
        albedo = _TO_LINEAR[colour[:, :3]]
        albedo[self.lining[found.triangle]] = LINING
        smooth = at[:, :3]
        smooth /= np.maximum(np.sqrt((smooth**2).sum(1, keepdims=True)), 1e-6)
        normal = smooth + (relief[:, :3].astype(np.float32) * (2 / 255) - 1.0039216 + 0.0039)
        normal /= np.sqrt((normal**2).sum(1, keepdims=True))
        torso = self.drawn_label[found.triangle] == MaskClass.TORSO
        eye = -T_world_head[:3, 3]
        rough = relief[:, 3].astype(np.float32) / 255
        gloss = colour[:, 3].astype(np.float32) / 255
        result = np.empty_like(albedo)
        for part, pose in ((torso, T_world_torso), (~torso, T_world_head)):
            index = np.flatnonzero(part)
            rotation = pose[:3, :3]
            towards = [(rotation.T @ unit(lamp.towards)).astype(np.float32) for lamp in LAMPS]
            view = unit(rotation.T @ eye).astype(np.float32)
            n, s = normal[index], smooth[index]
            # Fine relief changes how the key light falls; the baked light knows only the smooth surface.
            detail = 1 + 0.75 * ((n - s) @ towards[0]) + 0.35 * ((n - s) @ towards[1])
            out = albedo[index] * at[index, 5:8] * np.clip(detail, 0.2, 2.0)[:, None]
            result[index] = out
            if pose is T_world_torso:  # wool and cotton have no highlight worth its cost
                continue
            facing = np.clip(n @ view, 0.03, 1)
            fresnel = 0.035 + 0.5 * (1 - facing) ** 5
            for k, lamp in enumerate(LAMPS):
                shine = _highlight(n, towards[k], view, rough[index], facing)
                shine *= gloss[index] * fresnel * at[index, 8 + k] * 1.4
                out += shine[:, None] * np.array(lamp.colour, np.float32)
            result[index] = out
        return result


def _highlight(n: np.ndarray, light: np.ndarray, view: np.ndarray, rough: np.ndarray, facing: np.ndarray) -> np.ndarray:
    """Microfacet highlight (GGX: Walter et al. 2007) without its Fresnel factor, times the light's cosine."""
    half = unit(light + view).astype(np.float32)
    alpha2 = rough**4
    cosine = np.clip(n @ half, 0, 1)
    spread = alpha2 / (np.pi * (cosine * cosine * (alpha2 - 1) + 1) ** 2)
    falling = np.clip(n @ light, 0, 1)
    k = rough * 0.5
    return spread * falling / (4 * (falling * (1 - k) + k) * (facing * (1 - k) + k))


def _sample(texture: np.ndarray, at: np.ndarray) -> np.ndarray:
    """[P,4] uint8, bilinear, at pixels [P,2]."""
    count = len(at)
    width = 1 << 12
    rows = -(-count // width)
    padded = np.zeros((rows * width, 2), np.float32)
    padded[:count] = at
    maps = padded.reshape(rows, width, 2)
    sampled = cv2.remap(texture, maps, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return sampled.reshape(-1, 4)[:count]


def _averaging(triangles: np.ndarray, count: int) -> Sparse:
    pairs = np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]])
    pairs = np.concatenate([pairs, pairs[:, ::-1], np.repeat(np.arange(count), 2).reshape(-1, 2)])
    links: Sparse = sparse.csr_matrix((np.ones(len(pairs), np.float32), (pairs[:, 0], pairs[:, 1])), (count, count))
    links.data[:] = 1
    mean: Sparse = sparse.diags(1 / np.asarray(links.sum(1)).ravel()) @ links
    return mean.tocsr().astype(np.float32)


def _mouth_shade(person: Person, expression: Expression) -> np.ndarray:
    """[V,1] less light inside a mouth that is nearly closed."""
    shade = np.ones((len(person.rest), 1), np.float32)
    opening = np.clip(expression.jaw / 0.12 + 0.3 * (expression.lower + expression.upper), 0, 1)
    for name, floor in (("upper_teeth", 0.62), ("lower_teeth", 0.5), ("tongue", 0.45)):
        shade[person.vertices[name]] = floor + (1 - floor) * opening
    return shade


def _linear(picture: np.ndarray) -> np.ndarray:
    return _TO_LINEAR[picture]


def _develop(frame: np.ndarray) -> np.ndarray:
    """Linear light of the samples to an 8-bit sRGB picture."""
    height, width = frame.shape[0] // SAMPLES, frame.shape[1] // SAMPLES
    small = cv2.resize(np.minimum(frame, 1.6), (width, height), interpolation=cv2.INTER_AREA)
    # A soft shoulder keeps highlights from clipping.
    small = np.where(small > 0.7, 0.7 + 0.3 * np.tanh((small - 0.7) / 0.3), small)
    encoded = np.where(small < 0.0031308, small * 12.92, 1.055 * np.maximum(small, 1e-6) ** (1 / 2.4) - 0.055)
    return np.round(encoded * 255).clip(0, 255).astype(np.uint8)


def _decide(label: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(label[::SAMPLES, ::SAMPLES])
