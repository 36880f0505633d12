use std::io::Cursor;

use ::image::codecs::jpeg::JpegEncoder;
use ::image::codecs::png::PngEncoder;
use ::image::imageops::FilterType;
use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

/// The longest side of an image that is decoded, in pixels.
const LONGEST_SIDE: u32 = 16_384;

/// What an image may take when it is decoded, in bytes.
const DECODED_BYTES: u64 = 256 << 20;

/// The longest side of a thumbnail, in pixels.
const THUMBNAIL_SIDE: u32 = 400;

/// The size of a thumbnail, in bytes.
const THUMBNAIL_BYTES: usize = 64 << 10;

/// Below this many pixels a thumbnail shows nothing.
const SMALLEST_SIDE: u32 = 16;

/// The quality of JPEG images that are made, of 100.
const JPEG_QUALITY: u8 = 80;

/// An image that was made from another to fit somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fitted {
    /// The encoded image.
    pub bytes: Vec<u8>,
    /// `image/png` or `image/jpeg`.
    pub mime: &'static str,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// The width of the image that it was made from, as that is displayed.
    pub original_width: u32,
    /// The height of the image that it was made from, as that is displayed.
    pub original_height: u32,
}

/// A small image that stands for a large one.
pub type Thumbnail = Fitted;

/// Why bytes cannot be shown as an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ImageError {
    /// Their start is that of no format that is decoded.
    #[error("not a PNG, JPEG, GIF or WebP image")]
    UnknownFormat,
    /// Decoding would take more memory than is given to it.
    #[error(
        "the image is too large to be decoded: it may have {LONGEST_SIDE} pixels per side and take 256 MiB in memory"
    )]
    TooLarge,
    /// They start like an image but cannot be decoded.
    #[error("the image is damaged")]
    Damaged,
}

/// A small version of the PNG, JPEG, GIF or WebP image in `bytes`: no side longer than `limit` and 400 pixels, at most
/// 64 KiB; none where it cannot be decoded or made that small.
///
/// That of a JPEG image is one itself, all others are PNG. An animation is shown by its first frame.
pub fn thumbnail(bytes: &[u8], limit: u32) -> Option<Thumbnail> {
    let (image, format) = decoded(bytes).ok()?;
    let original = (image.width(), image.height());
    let mut side = limit.min(THUMBNAIL_SIDE);
    let largest = scaled(&image, side, side);
    while side >= SMALLEST_SIDE.min(limit.max(1)) {
        let thumbnail = match format {
            ImageFormat::Jpeg => as_jpeg(&scaled(&largest, side, side), original),
            _ => as_png(&scaled(&largest, side, side), original),
        };
        let thumbnail = thumbnail.ok()?;
        if thumbnail.bytes.len() <= THUMBNAIL_BYTES {
            return Some(thumbnail);
        }
        side = side * 3 / 4;
    }
    None
}

/// The PNG, JPEG, GIF or WebP image in `bytes` as a PNG no larger than `width` × `height` pixels.
///
/// It keeps its aspect ratio and is never enlarged; an animation is shown by its first frame.
///
/// # Errors
/// Where the bytes are no such image or a damaged one, and where decoding would take too much memory.
///
/// ```
/// use mcp_jupyter_core::assets::preview::{ImageError, fit};
///
/// assert_eq!(fit(b"%PDF-1.7", 100, 100), Err(ImageError::UnknownFormat));
/// ```
pub fn fit(bytes: &[u8], width: u32, height: u32) -> Result<Fitted, ImageError> {
    let (image, _) = decoded(bytes)?;
    as_png(&scaled(&image, width, height), (image.width(), image.height()))
}

fn decoded(bytes: &[u8]) -> Result<(DynamicImage, ImageFormat), ImageError> {
    let mut reader = ImageReader::new(Cursor::new(bytes))
        .with_guessed_format()
        .expect("reading memory does not fail");
    let format = reader.format().filter(ImageFormat::reading_enabled);
    let format = format.ok_or(ImageError::UnknownFormat)?;
    let mut limits = Limits::no_limits();
    limits.max_image_width = Some(LONGEST_SIDE);
    limits.max_image_height = Some(LONGEST_SIDE);
    limits.max_alloc = Some(DECODED_BYTES);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| reason(&error))?;
    if decoder.total_bytes() > DECODED_BYTES {
        return Err(ImageError::TooLarge);
    }
    // A camera writes the picture as its sensor lies and how to turn it beside.
    let orientation = decoder.orientation().map_err(|error| reason(&error))?;
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| reason(&error))?;
    image.apply_orientation(orientation);
    Ok((image, format))
}

fn reason(error: &::image::ImageError) -> ImageError {
    match error {
        ::image::ImageError::Limits(_) => ImageError::TooLarge,
        _ => ImageError::Damaged,
    }
}

/// `image` in at most `width` × `height` pixels and 8 bits per channel.
fn scaled(image: &DynamicImage, width: u32, height: u32) -> DynamicImage {
    let (width, height) = fitting((image.width(), image.height()), (width, height));
    // Averaging down to twice the size first takes a small part of the memory and time, and nothing of the quality.
    let (near_width, near_height) = (width.saturating_mul(2), height.saturating_mul(2));
    let scaled = if image.width() > near_width && image.height() > near_height {
        image
            .thumbnail_exact(near_width, near_height)
            .resize_exact(width, height, FilterType::CatmullRom)
    } else if (image.width(), image.height()) == (width, height) {
        image.clone()
    } else {
        image.resize_exact(width, height, FilterType::CatmullRom)
    };
    match scaled {
        DynamicImage::ImageLuma8(_) | DynamicImage::ImageRgb8(_) | DynamicImage::ImageRgba8(_) => scaled,
        _ if scaled.color().has_alpha() => scaled.into_rgba8().into(),
        _ if scaled.color().has_color() => scaled.into_rgb8().into(),
        _ => scaled.into_luma8().into(),
    }
}

/// The largest size with the aspect ratio of `original` that is neither larger than it nor than `room`.
fn fitting(original: (u32, u32), room: (u32, u32)) -> (u32, u32) {
    let (width, height) = (u64::from(original.0.max(1)), u64::from(original.1.max(1)));
    let (room_width, room_height) = (u64::from(room.0.max(1)), u64::from(room.1.max(1)));
    if width <= room_width && height <= room_height {
        return original;
    }
    let rounded = |side: u64, by: u64, of: u64| u32::try_from(((side * by + of / 2) / of).max(1)).unwrap_or(u32::MAX);
    if width * room_height >= height * room_width {
        (room.0.max(1), rounded(height, room_width, width))
    } else {
        (rounded(width, room_height, height), room.1.max(1))
    }
}

fn as_png(image: &DynamicImage, original: (u32, u32)) -> Result<Fitted, ImageError> {
    let mut bytes = Vec::new();
    let encoded = image.write_with_encoder(PngEncoder::new(&mut bytes));
    encoded.map_err(|_| ImageError::Damaged)?;
    Ok(described(image, original, bytes, "image/png"))
}

fn as_jpeg(image: &DynamicImage, original: (u32, u32)) -> Result<Fitted, ImageError> {
    let mut bytes = Vec::new();
    let encoded = image.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY));
    encoded.map_err(|_| ImageError::Damaged)?;
    Ok(described(image, original, bytes, "image/jpeg"))
}

fn described(image: &DynamicImage, original: (u32, u32), bytes: Vec<u8>, mime: &'static str) -> Fitted {
    Fitted {
        bytes,
        mime,
        width: image.width(),
        height: image.height(),
        original_width: original.0,
        original_height: original.1,
    }
}

#[cfg(test)]
mod tests {
    use ::image::{GenericImageView, Rgba, RgbaImage};
    use proptest::prelude::*;

    use super::*;

    /// Noise: nothing about it can be compressed.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 1_u32;
        RgbaImage::from_fn(width, height, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [_, red, green, blue] = state.to_le_bytes();
            Rgba([red, green, blue, 255])
        })
        .into()
    }

    fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        match format {
            ImageFormat::Jpeg => image.to_rgb8().write_to(&mut bytes, format),
            _ => image.write_to(&mut bytes, format),
        }
        .unwrap();
        bytes.into_inner()
    }

    #[test]
    fn images_of_all_formats_are_scaled_to_png() {
        let image = noise(300, 100);
        for format in [ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP] {
            let fitted = fit(&encoded(&image, format), 150, 150).unwrap();
            assert_eq!(
                (fitted.mime, fitted.width, fitted.height),
                ("image/png", 150, 50),
                "{format:?}"
            );
            assert_eq!((fitted.original_width, fitted.original_height), (300, 100));
            let again = ::image::load_from_memory_with_format(&fitted.bytes, ImageFormat::Png).unwrap();
            assert_eq!(again.dimensions(), (150, 50));
        }
    }

    #[test]
    fn sizes_keep_their_ratio_and_never_grow() {
        for (original, room, expected) in [
            ((300, 100), (150, 150), (150, 50)),
            ((100, 300), (150, 150), (50, 150)),
            ((300, 100), (1000, 50), (150, 50)),
            ((300, 100), (300, 100), (300, 100)),
            ((30, 10), (4000, 4000), (30, 10)),
            ((16_384, 1), (400, 400), (400, 1)),
            ((3, 3), (0, 0), (1, 1)),
            ((3, 3), (u32::MAX, u32::MAX), (3, 3)),
        ] {
            assert_eq!(fitting(original, room), expected, "{original:?} in {room:?}");
        }
    }

    #[test]
    fn thumbnails_are_small() {
        let image = noise(1000, 500);
        for (format, mime) in [(ImageFormat::Png, "image/png"), (ImageFormat::Jpeg, "image/jpeg")] {
            let thumbnail = thumbnail(&encoded(&image, format), 4000).unwrap();
            assert_eq!(thumbnail.mime, mime);
            assert!(thumbnail.bytes.len() <= THUMBNAIL_BYTES && thumbnail.width <= 400);
            assert!(thumbnail.width >= 100, "{} pixels", thumbnail.width);
            assert_eq!(thumbnail.width, thumbnail.height * 2);
            assert_eq!((thumbnail.original_width, thumbnail.original_height), (1000, 500));
        }
        let small = thumbnail(&encoded(&image, ImageFormat::Png), 40).unwrap();
        assert_eq!((small.width, small.height), (40, 20));
    }

    #[test]
    fn deep_and_grey_images_are_shown() {
        let image = noise(64, 64);
        for image in [
            image.to_luma16().into(),
            image.to_rgba16().into(),
            DynamicImage::from(image.to_luma_alpha8()),
        ] {
            assert_eq!(fit(&encoded(&image, ImageFormat::Png), 32, 32).unwrap().width, 32);
        }
    }

    #[test]
    fn what_cannot_be_shown_is_told() {
        let png = encoded(&noise(64, 64), ImageFormat::Png);
        let wide = encoded(&DynamicImage::new_luma8(LONGEST_SIDE + 1, 1), ImageFormat::Png);
        for (bytes, expected) in [
            (&b""[..], ImageError::UnknownFormat),
            (b"BM6\0\0\0", ImageError::UnknownFormat),
            (b"hello", ImageError::UnknownFormat),
            (&png[..png.len() / 2], ImageError::Damaged),
            (&png[..20], ImageError::Damaged),
            (&wide, ImageError::TooLarge),
        ] {
            assert_eq!(fit(bytes, 10, 10), Err(expected));
            assert_eq!(thumbnail(bytes, 10), None);
        }
    }

    /// A PNG of a few bytes that says it has 16,000 pixels per side, which would take 1 GB.
    #[test]
    fn a_decompression_bomb_is_refused_by_its_header() {
        let mut png = encoded(&DynamicImage::new_rgba8(1, 1), ImageFormat::Png);
        png[16..20].copy_from_slice(&16_000_u32.to_be_bytes());
        png[20..24].copy_from_slice(&16_000_u32.to_be_bytes());
        let checksum = crc32(&png[12..29]);
        png[29..33].copy_from_slice(&checksum.to_be_bytes());
        assert_eq!(fit(&png, 10, 10), Err(ImageError::TooLarge));
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        })
    }

    proptest! {
        #[test]
        fn damage_is_never_a_panic(
            format in prop::sample::select(vec![ImageFormat::Png, ImageFormat::Jpeg, ImageFormat::Gif, ImageFormat::WebP]),
            changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        ) {
            let mut bytes = encoded(&noise(16, 16), format);
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(fitted) = fit(&bytes, 8, 8) {
                prop_assert!(fitted.width <= 8 && fitted.height <= 8);
            }
        }
    }
}
